import itertools
import signal

import pytest
import torch
from running import ROOT, run_python, run_tool
from toy import CONFIG

from opencd_gold.compat import load_checkpoint_file


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp('config') / 'toy_run.py'
    path.write_text(CONFIG)
    return path


RUNS = itertools.count()


def train(config, work_dir, *arguments, options=()):
    # mmengine keeps the log of a run under its name and the second.
    name = f'experiment_name=run{next(RUNS)}'
    with pytest.MonkeyPatch.context() as patch:
        code = run_tool(patch, 'tools/train.py', config, '--work-dir',
                        work_dir, *arguments, '--cfg-options', name, *options)
    assert code is None


@pytest.fixture(scope='module')
def uninterrupted(config, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('uninterrupted')
    train(config, work_dir)
    return work_dir


def assert_same(found, expected, where=''):
    """Compare checkpoints down to the last bit of every tensor."""
    assert type(found) is type(expected), where
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected), where
    elif isinstance(expected, dict):
        assert list(found) == list(expected), where
        for key in expected:
            assert_same(found[key], expected[key], f'{where}.{key}')
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), where
        for index, pair in enumerate(zip(found, expected)):
            assert_same(*pair, f'{where}.{index}')
    else:
        assert found == expected, where


# 9: in the middle; 12: saved, but not validated; saving: half of a file.
@pytest.mark.parametrize('after, when, saved', [
    (9, 'trained', 6),
    (12, 'trained', 12),
    (12, 'saving', 6),
])
def test_killed_run_ends_like_the_uninterrupted_one(
        config, uninterrupted, tmp_path, after, when, saved):
    killed = run_python(
        ROOT / 'tools/train.py', config, '--work-dir', tmp_path,
        '--cfg-options', 'default_hooks.kill.type=SuicideHook',
        f'default_hooks.kill.after={after}',
        f'default_hooks.kill.when={when}')
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    pointer = (tmp_path / 'last_checkpoint').read_text()
    assert pointer.endswith(f'iter_{saved}.pth')
    for checkpoint in tmp_path.glob('*.pth'):
        assert 'state_dict' in load_checkpoint_file(checkpoint)

    train(config, tmp_path, '--resume')

    found, expected = (
        load_checkpoint_file(folder / 'iter_24.pth')
        for folder in (tmp_path, uninterrupted))
    for key in ('state_dict', 'optimizer', 'param_schedulers',
                'random_states'):
        assert_same(found[key], expected[key], key)
    for key in ('best_score', 'iter', 'keep_ckpt_ids'):
        assert (found['message_hub']['runtime_info'][key] ==
                expected['message_hub']['runtime_info'][key]), key
    names = [
        sorted(path.name for path in folder.iterdir() if path.is_file())
        for folder in (tmp_path, uninterrupted)
    ]
    assert names[0] == names[1]


def test_without_random_state_the_runs_differ(config, uninterrupted,
                                              tmp_path):
    """The comparison above would see it if nothing were restored."""
    train(config, tmp_path, options=['train_cfg.max_iters=6'])
    checkpoint = load_checkpoint_file(tmp_path / 'iter_6.pth')
    del checkpoint['random_states']
    torch.save(checkpoint, tmp_path / 'iter_6.pth')

    train(config, tmp_path, '--resume')

    found, expected = (
        load_checkpoint_file(folder / 'iter_24.pth')['state_dict']
        for folder in (tmp_path, uninterrupted))
    assert not torch.equal(found['hidden.weight'], expected['hidden.weight'])


def test_resume_of_a_moved_folder(config, tmp_path):
    train(config, tmp_path / 'old', options=['train_cfg.max_iters=6'])
    (tmp_path / 'old').rename(tmp_path / 'new')
    train(config, tmp_path / 'new', '--resume')
    assert (tmp_path / 'new' / 'iter_24.pth').is_file()


@pytest.mark.parametrize('options', [
    ['train_dataloader.sampler.type=InfiniteSampler'],
    [
        'train_dataloader.num_workers=1',
        'train_dataloader.persistent_workers=True'
    ],
    ['default_hooks.ema.type=EMAHook', 'default_hooks.ema.momentum=0.1'],
    ['optim_wrapper.accumulative_counts=2'],
], ids=['sampler that cannot skip', 'workers', 'averaged weights',
        'accumulated gradients'])
def test_resume_with(config, tmp_path, options):
    train(config, tmp_path / 'whole', options=options)
    half = tmp_path / 'halves'
    train(config, half, options=[*options, 'train_cfg.max_iters=12'])
    train(config, half, '--resume', options=options)
    found, expected = (
        load_checkpoint_file(folder / 'iter_24.pth')
        for folder in (half, tmp_path / 'whole'))
    for key in expected:
        if key not in ('meta', 'message_hub'):
            assert_same(found[key], expected[key], key)
    info = found['message_hub']['runtime_info']
    # Ten samples in batches of four.
    assert info['iters_per_epoch'] == 3
