"""Converted and published checkpoints load strictly and predict alike."""
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from opencd_gold.apis import init_model, plain_model_config, publish
from opencd_gold.compat import load_checkpoint_file

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/gold/gold_r18-light_4xb8-100k_hcd3s-512x512.py'
PLAIN = 'gold-student_r18_4xb8-100k_hcd3s-512x512.py'


def run(*args):
    return subprocess.run([sys.executable, *map(str, args)],
                          capture_output=True,
                          text=True,
                          cwd=ROOT)


@pytest.fixture
def trained(tmp_path):
    model = init_model(CONFIG)
    path = tmp_path / 'iter_1.pth'
    meta = dict(cfg=model.cfg.pretty_text, dataset_meta=dict(classes=['a']))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return model, path


def test_published_model_has_no_teacher_and_predicts_alike(trained, tmp_path):
    model, path = trained
    done = run('tools/model_converters/publish_model.py', path,
               tmp_path / 'student.pth')
    assert done.returncode == 0, done.stderr
    final, = tmp_path.glob('student-*.pth')
    stored = load_checkpoint_file(final)
    assert set(stored) == {'state_dict', 'meta'}
    config = Config.fromstring(stored['meta']['cfg'], '.py')
    assert config.model.type == 'BitemporalDetector'
    student = init_model(config, final)
    assert student.dataset_meta == dict(classes=['a'])
    assert not [name for name, _ in student.named_modules()
                if 'teacher' in name]
    inputs = torch.randn(1, 6, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            student(inputs, mode='tensor'),
            model(inputs, mode='tensor'),
            rtol=0,
            atol=0)


def test_plain_config_of_the_folder_loads_it_strictly(trained):
    _, path = trained
    config = Config.fromfile(CONFIG.with_name(PLAIN))
    light = Config.fromfile(CONFIG)
    for key in ('backbone', 'backbone_to', 'neck', 'neck_to', 'interaction'):
        config.model[key] = light.model[key]
    config.model.decode_head.in_channels = 64
    checkpoint = publish(load_checkpoint_file(path))
    init_model(config).load_state_dict(checkpoint['state_dict'], strict=True)


@pytest.mark.parametrize('name', [
    'gold_efflite0_1xb8-1500_ombria-256x256',
    'gold-guide-align-for-comparison_efflite0_1xb8-1500_ombria-256x256',
    'gold_mit-b0_1xb8-1500_ombria-256x256',
])
def test_no_argument_of_the_teacher_is_left(name):
    """Whatever a config of GOLD says, the student alone is built of it."""
    model = Config.fromfile(CONFIG.with_name(f'{name}.py')).model
    plain = plain_model_config(model)
    assert plain['type'] == 'BitemporalDetector'
    student = init_model(Config(dict(default_scope='opencd_gold',
                                     model=plain)))
    assert not hasattr(student, 'teacher_head')


def test_plain_config_leaves_its_argument_alone():
    config = Config.fromfile(CONFIG)
    before = config.model.to_dict()
    plain_model_config(config.model)
    assert config.model.to_dict() == before


def test_publish_without_a_config_says_so():
    with pytest.raises(ValueError, match='brings no config'):
        publish(dict(state_dict={}))


def test_checkpoint_of_another_model_is_refused(tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'conv.weight': torch.zeros(1)}), path)
    with pytest.raises(ValueError, match='another model.*unexpected'):
        init_model(CONFIG, path)


def test_convert_names_dead_keys_and_never_overwrites(tmp_path):
    sys.path.insert(0, str(ROOT / 'tests'))
    from parity import rule
    shapes = rule.Figures('gold').info['state']
    source, target = tmp_path / 'best_net_CD.pth', tmp_path / 'gold.pth'
    torch.save({f'module.{key}': value
                for key, value in rule.state_dict(shapes).items()}, source)
    tool = 'tools/model_converters/convert.py'
    done = run(tool, 'gold', source, target)
    assert done.returncode == 0, done.stderr
    assert 'student_discriminator.fc1.weight' in done.stdout + done.stderr
    model = init_model(ROOT / 'configs/gold/gold_reference.py', target)
    assert torch.equal(model.backbone.stem[0].weight,
                       rule.weight('encoder_opt.conv1.weight',
                                   shapes['encoder_opt.conv1.weight']))
    again = run(tool, 'gold', source, target)
    assert again.returncode == 2 and 'exists' in again.stderr
    other = run(tool, 'gold-two-branch', source, tmp_path / 'x.pth')
    assert other.returncode == 2 and 'fit no rule' in other.stderr
