"""Every shipped config builds, trains, validates, resumes and tests.

On triplets of 64 pixels that are made here. Encoders are narrowed and start
from scratch for the runs; the model as it is shipped is built and predicts
once.
"""
import itertools
import json
import re
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from running import ROOT, run_tool

from opencd_gold.compat import load_checkpoint_file
from opencd_gold.datasets.synthetic import write_triplets
from opencd_gold.registry import MODELS

CONFIGS = sorted(path for path in (ROOT / 'configs').rglob('*.py')
                 if '_base_' not in path.parts)
# Origin and partitions are for testing alone: tests/models/test_mtkd.py.
TRAINED = [path for path in CONFIGS if path.parent.name != 'op']
# Resuming is the runner's; of each folder a run by iterations and one by
# epochs shows that it has all that it needs.
RESUMED = {(path.parent, bool(re.search(r'-\d+e_', path.stem))): path
           for path in reversed(TRAINED)}.values()
SIZE = 64
ROOTS = dict(
    CDDDataset='cdd',
    DSIFNDataset='dsifn',
    GVLMDataset='lists',
    GoogleMapDataset='googlemap',
    HCD3SDataset='hcd3s',
    JL1CDDataset='pairs',
    LEVIRCDDataset='lists',
    LEVIRCDPlusDataset='lists',
    MCDDataset='lists',
    NJDSDataset='njds',
    OmbriaDataset='triplets',
    OpticalPairDataset='pairs',
    S2LookingDataset='s2looking',
    SYSUCDDataset='sysu',
    SyntheticChangeDataset='triplets',
    WHUCDDataset='lists',
    XiongAnDataset='pairs')
# Sets of the pairs with other names for A, B and label.
LAYOUTS = dict(
    cdd=('A', 'B', 'OUT'),
    dsifn=('t1', 't2', 'mask'),
    googlemap=('T1', 'T2', 'labels_change'),
    lists=('A', 'B', 'label'),
    njds=('t1', 't2', 'label'),
    s2looking=('Image1', 'Image2', 'label'),
    sysu=('time1', 'time2', 'label'))
# Length of a run and of the one that resumes it; an epoch is two iterations.
LENGTHS = dict(iter=(2, 3), epoch=(2, 3))
RUNS = itertools.count()

each_config = pytest.mark.parametrize(
    'path', CONFIGS, ids=[path.stem for path in CONFIGS])
each_trained = pytest.mark.parametrize(
    'path', TRAINED, ids=[path.stem for path in TRAINED])


@pytest.fixture(scope='session')
def data(tmp_path_factory):
    """Folder of ``triplets``, ``hcd3s`` (three bands, ``Label``), ``pairs``.

    The pairs are optical. All but ``hcd3s`` have lists of partitions.
    """
    folder = tmp_path_factory.mktemp('data')
    write_triplets(
        folder / 'triplets', dict(train=4, val=2, test=2), size=SIZE, seed=1)
    shutil.copytree(folder / 'triplets', folder / 'hcd3s')
    for split in (folder / 'hcd3s').iterdir():
        (split / 'label').rename(split / 'Label')
        for path in (split / 'B').iterdir():
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            cv2.imwrite(str(path), cv2.merge([image] * 3))
    shutil.copytree(folder / 'triplets', folder / 'pairs')
    for split in list((folder / 'pairs').iterdir()):
        shutil.rmtree(split / 'B')
        (split / 'C').rename(split / 'B')
    for root in ('pairs', 'triplets'):
        lists = folder / root / 'lists'
        lists.mkdir()
        for split, part in itertools.product(
                ('train', 'val'), ('', '_s', '_m', '_l')):
            (lists / f'{split}{part}.txt').write_text('0000\n0001\n')
    for name, names in LAYOUTS.items():
        lay_out(folder / 'pairs', folder / name, names)
    return folder


def lay_out(source, target, names):
    """Copy pairs to folders of other names; a list of file names a split.

    The lists of partitions are copied as well. CDD and the images of DSIFN
    are JPEG.
    """
    shutil.copytree(source / 'lists', target / 'lists')
    for split in ('train', 'val', 'test'):
        files = {}
        for old, new in zip(('A', 'B', 'label'), names):
            jpeg = target.name == 'cdd' or (
                target.name == 'dsifn' and old != 'label')
            (target / split / new).mkdir(parents=True)
            for path in sorted((source / split / old).iterdir()):
                name = f'{path.stem}{".jpg" if jpeg else path.suffix}'
                image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
                cv2.imwrite(str(target / split / new / name), image)
                files[name] = None
        (target / split / 'list').mkdir()
        (target / split / f'list/{split}.txt').write_text('\n'.join(files))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """One thread, and no time spent on the layout of stored configs."""
    monkeypatch.setattr('mmengine.config.config.FormatCode',
                        lambda text, **_: (text, True))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def without_downloads(node):
    """The same config with encoders that start from scratch."""
    if isinstance(node, dict):
        return {
            key: False if key == 'pretrained' else without_downloads(value)
            for key, value in node.items() if key != 'init_cfg'
        }
    if isinstance(node, (list, tuple)):
        return type(node)(map(without_downloads, node))
    return node


def narrow(model):
    """Give ResNets and MiT eight base channels, and the next what then comes.

    What comes next is a neck, or heads that take whole pyramids.
    """
    for suffix in ('', '_to'):
        backbone = model.get(f'backbone{suffix}') or {}
        if 'base_channels' in backbone:
            factor = backbone['base_channels'] // 8
            backbone['base_channels'] = 8
            if 'stem_channels' in backbone:
                backbone['stem_channels'] = 16
        elif 'embed_dims' in backbone:
            factor = backbone['embed_dims'] // 8
            backbone.update(embed_dims=8, num_layers=[1] * 4)
        else:
            continue
        following = [model.get(f'neck{suffix}')]
        if not suffix:
            following += [model['decode_head'], model.get('teacher_head')]
        for part in filter(None, following):
            if isinstance(part['in_channels'], list):
                part['in_channels'] = [
                    width // factor for width in part['in_channels']
                ]
                if 'Head' in part['type'] and 'channels' in part:
                    part['channels'] = 8


def smaller(node):
    """The same pipeline for small tiles."""
    if isinstance(node, dict):
        return {
            key: (SIZE, SIZE) if key in ('crop_size', 'scale') else
            smaller(value)
            for key, value in node.items()
        }
    if isinstance(node, (list, tuple)):
        return type(node)(map(smaller, node))
    return node


def give_checkpoints(model, folder):
    """Random weights for the student and every teacher of a model."""
    init_default_scope('opencd_gold')
    path = str(folder / f'member{next(RUNS)}.pth')
    state = MODELS.build(Config(model['student'])).state_dict()
    torch.save(dict(state_dict=state), path)
    model['student_checkpoint'] = path
    for teacher in model['teachers'].values():
        teacher['checkpoint'] = path


def unit(cfg):
    """What the training of a config counts."""
    return 'epoch' if 'max_epochs' in cfg['train_cfg'] else 'iter'


def tiny(path, data):
    """A config for a run of two iterations."""
    cfg = Config.fromfile(path)
    cfg = cfg.to_dict()
    cfg['model'] = without_downloads(cfg['model'])
    narrow(cfg['model'].get('student', cfg['model']))
    if 'teachers' in cfg['model']:
        give_checkpoints(cfg['model'], data)
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        dataset = loader['dataset']
        dataset['data_root'] = str(data / ROOTS[dataset['type']])
        dataset['pipeline'] = smaller(dataset['pipeline'])
    length, _ = LENGTHS[unit(cfg)]
    cfg['train_cfg'].update({f'max_{unit(cfg)}s': length},
                            val_interval=length)
    cfg['train_cfg'].pop('val_begin', None)
    hooks = cfg['default_hooks']
    hooks['checkpoint'].update(interval=length)
    hooks['logger'].update(interval=1)
    del hooks['curves']
    return Config(cfg)


def start(cfg, path):
    """Write a config for a new run of this process.

    mmengine keeps logs and visualizers by name, and takes up old ones.
    """
    cfg.experiment_name = f'{path.stem}{next(RUNS)}'
    cfg.visualizer.name = cfg.experiment_name
    cfg.dump(path)


def scalars(work_dir, key):
    """Logged values of a key by step, over all runs of a folder."""
    rows = []
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        rows += [json.loads(line) for line in file.read_text().splitlines()]
    return {row['step']: row[key] for row in rows if key in row}


def test_configs_are_found():
    names = {path.stem for path in CONFIGS}
    assert 'gold_reference' in names
    assert not any('_base_' in str(path) for path in CONFIGS)


def commands():
    """Tool and config of each command in the documentation."""
    for page in (ROOT / 'README.md', *(ROOT / 'docs').glob('*.md'),
                 *(ROOT / 'configs').rglob('*.md')):
        # A command may go on after a backslash.
        text = page.read_text().replace('\\\n', ' ')
        for tool, path in re.findall(
                r'tools/(train|test)\.py +(configs/\S+\.py)', text):
            yield page, tool, path


def test_commands_of_the_documentation_find_configs_with_data():
    found = list(commands())
    assert len({page for page, _, _ in found}) >= 7
    for page, tool, path in found:
        assert (ROOT / path).is_file(), (page, path)
        assert f'{tool}_dataloader' in Config.fromfile(ROOT / path), page


def depth(path):
    bases = Config._get_base_files(str(path))
    return 1 + max((depth(path.parent / base) for base in bases), default=-1)


@each_config
def test_config_is_of_this_scope_and_not_too_deep(path):
    assert Config.fromfile(path).default_scope == 'opencd_gold'
    assert depth(path) <= 3


@each_config
def test_model_builds_and_predicts(path):
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(Config(without_downloads(cfg.model.to_dict())))
    bands = sum(model.data_preprocessor.channels[:2])
    with torch.no_grad():
        logits = model.eval()(
            torch.randn(1, bands, SIZE, SIZE), mode='tensor')
    assert logits.shape[:2] == (1, model.out_channels)
    assert torch.isfinite(logits).all()


@each_trained
def test_config_trains_resumes_and_tests(path, data, tmp_path, monkeypatch):
    work_dir = tmp_path / 'run'
    config = tmp_path / path.name
    cfg = tiny(path, data)
    counted = unit(cfg)
    first, last = LENGTHS[counted]
    if path not in RESUMED:
        last = first
    iterations = last * (2 if counted == 'epoch' else 1)

    def run(tool, *arguments):
        start(cfg, config)
        code = run_tool(monkeypatch, tool, config, *arguments, '--work-dir',
                        work_dir)
        assert code is None

    run('tools/train.py')
    assert (work_dir / f'{counted}_{first}.pth').is_file()
    if path in RESUMED:
        cfg.train_cfg[f'max_{counted}s'] = last
        run('tools/train.py', '--resume')
    trained = work_dir / f'{counted}_{last}.pth'
    checkpoint = load_checkpoint_file(trained)
    assert checkpoint['meta']['iter'] == iterations
    steps = [state['step'] for state in
             checkpoint['optimizer']['state'].values()]
    assert steps
    assert set(map(float, steps)) == {float(iterations)}

    losses = scalars(work_dir, 'loss')
    assert list(losses) == list(range(1, iterations + 1))
    assert all(0 < value < float('inf') for value in losses.values())
    assert set(scalars(work_dir, 'IoU')) == {first, last}
    if cfg.model.get('test_cfg', {}).get('evaluate_teacher'):
        assert set(scalars(work_dir, 'teacher/IoU')) == {first, last}

    maps = tmp_path / 'maps'
    run('tools/test.py', trained, '--out', maps)
    names = sorted(file.name for file in Path(maps).iterdir())
    assert names == ['0000.png', '0001.png']
    result, = work_dir.glob('*/*.json')
    scores = json.loads(result.read_text())
    assert 0 <= scores['IoU'] <= 100
    assert not any(key.startswith('teacher') for key in scores)


@pytest.mark.parametrize('base', [
    path.stem for path in sorted((ROOT / 'configs/_base_/datasets').iterdir())
    if path.suffix == '.py'
])
def test_augmented_testing(base, data, tmp_path, monkeypatch):
    """Flips of each data config, on a network of two dates."""
    cfg = Config.fromfile(
        ROOT / 'configs/gold/gold-student_r18_4xb8-100k_hcd3s-512x512.py')
    dataset = Config.fromfile(ROOT / f'configs/_base_/datasets/{base}.py')
    cfg.merge_from_dict(dataset.to_dict())
    cfg.dump(tmp_path / 'whole.py')
    cfg = tiny(tmp_path / 'whole.py', data)
    bands = dataset.test_pipeline[0].channels
    cfg.model.data_preprocessor = dict(
        type='ChangeDataPreProcessor', channels=bands)
    cfg.model.backbone_to.in_channels = bands[1]
    start(cfg, tmp_path / 'flips.py')
    init_default_scope('opencd_gold')
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()),
               tmp_path / 'initial.pth')
    code = run_tool(monkeypatch, 'tools/test.py', tmp_path / 'flips.py',
                    tmp_path / 'initial.pth', '--tta', '--work-dir',
                    tmp_path / 'run')
    assert code is None
    result, = (tmp_path / 'run').glob('*/*.json')
    assert 0 <= json.loads(result.read_text())['IoU'] <= 100
