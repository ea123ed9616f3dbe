"""Every tool explains itself; whatever is wrong gives one clear error."""
import itertools
import os

import pytest
import torch
from running import ROOT, run_tool
from toy import CONFIG

TRAIN, TEST = 'tools/train.py', 'tools/test.py'
RUNS = itertools.count()


@pytest.mark.parametrize(
    'tool',
    sorted(
        str(path.relative_to(ROOT)) for path in ROOT.glob('tools/**/*.py')
        if not path.name.startswith('_')))
def test_help(tool, monkeypatch, capsys):
    assert run_tool(monkeypatch, tool, '--help') is None
    shown = capsys.readouterr().out
    assert shown.startswith('usage: ')
    assert '--help' in shown


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp('config') / 'toy_run.py'
    path.write_text(CONFIG)
    return path


@pytest.fixture
def call(monkeypatch):
    """Run a tool under a name of its own; return what it ends with."""

    def run(tool, *arguments, options=()):
        name = f'experiment_name=cli{next(RUNS)}'
        return run_tool(monkeypatch, tool, *arguments, '--cfg-options', name,
                        *options)

    return run


@pytest.fixture(scope='module')
def finished(config, tmp_path_factory):
    """A run of six iterations."""
    work_dir = tmp_path_factory.mktemp('finished')
    with pytest.MonkeyPatch.context() as patch:
        assert run_tool(
            patch, TRAIN, config, '--work-dir', work_dir, '--cfg-options',
            f'experiment_name=cli{next(RUNS)}',
            'train_cfg.max_iters=6') is None
    return work_dir


def snapshot(folder):
    """Checkpoints of a folder, with their content."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.suffix == '.pth' or path.name == 'last_checkpoint'
    }


def assert_error(message, *parts):
    assert isinstance(message, str), message
    assert message.startswith('error: ')
    assert len(message.splitlines()) == 1
    for part in parts:
        assert part in message


# options of the config -----------------------------------------------------


@pytest.mark.parametrize('option, parts', [
    ('optim_wraper.optimizer.lr=1', ["has no 'optim_wraper'",
                                     "but 'optim_wrapper'"]),
    ('optim_wrapper.optimzer.lr=1', ['optim_wrapper has no', "'optimizer'"]),
    ('train_dataloader.batchsize=2', ["but 'batch_size'"]),
    ('default_hooks.checkpont.interval=2', ["but 'checkpoint'"]),
    ('nonsense=1', ["the config has no 'nonsense'"]),
    ('model.type.depth=1', ["model.type is 'ToyModel' and has no 'depth'"]),
    ('model.widht=4', ['ToyModel', "argument 'widht'"]),
    ('model.type=ToyModle', ['ToyModle is not in the', 'model registry']),
    ('optim_wrapper.optimizer.type=Adm', ['Adm is not in the']),
    ('param_scheduler.type=NoLR', ['NoLR is not in the']),
    ('param_scheduler.powr=2', ["argument 'powr'"]),
    ('train_cfg.type=NoLoop', ['NoLoop is not in the']),
    ('default_hooks.extra.type=NoHook', ['NoHook is not in the']),
    ('train_dataloader.dataset.type=NoSet', ['NoSet is not in the']),
    ('val_dataloader.dataset.size=3', ['ToyDataset', "argument 'size'"]),
    ('val_evaluator.type=NoMetric', ['NoMetric is not in the']),
])
def test_wrong_option(call, config, tmp_path, option, parts):
    message = call(TRAIN, config, '--work-dir', tmp_path, options=[option])
    assert_error(message, *parts)
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize('option', [
    'model.dropout=0.1', 'default_hooks.ema.type=EMAHook',
    'train_dataloader.drop_last=True', 'auto_scale_lr.enable=False'
])
def test_new_key_that_means_something_is_accepted(call, config, tmp_path,
                                                  option):
    assert call(TRAIN, config, '--work-dir', tmp_path,
                options=[option, 'train_cfg.max_iters=1']) is None
    assert (tmp_path / 'iter_1.pth').is_file()


def test_index_beyond_a_list(call, config, tmp_path):
    listed = tmp_path / 'listed.py'
    listed.write_text(CONFIG + 'custom_hooks = [dict(type="EMAHook")]\n')
    assert_error(
        call(TRAIN, listed, options=['custom_hooks.1.momentum=0.1']),
        'custom_hooks is a list of 1', "found '1'")


def test_option_that_is_no_pair(monkeypatch, config, capsys):
    assert run_tool(monkeypatch, TRAIN, config, '--cfg-options', 'lr') == 2
    assert ("error: --cfg-options: expected KEY=VALUE, found 'lr'"
            in capsys.readouterr().err)


# files ---------------------------------------------------------------------


def test_missing_config(call, tmp_path):
    assert_error(call(TRAIN, tmp_path / 'nope.py'), 'no config file',
                 'nope.py')


def test_part_of_a_config(call):
    assert_error(
        call(TRAIN, ROOT / 'configs/_base_/default_runtime.py'),
        'default_runtime.py has no model')


def test_config_that_is_no_python(call, tmp_path):
    broken = tmp_path / 'broken.py'
    broken.write_text('model = dict(\n')
    assert_error(call(TRAIN, broken), 'broken.py')


@pytest.mark.parametrize('tool', [TRAIN, TEST])
def test_data_root_that_is_not_there(call, config, finished, tool, tmp_path):
    rest = [finished / 'iter_6.pth'] if tool == TEST else []
    message = call(tool, config, *rest, '--data-root', tmp_path / 'nope',
                   '--work-dir', tmp_path)
    assert_error(message, '--data-root: no folder', 'nope')


def test_data_root_without_a_set_to_point(call, config, tmp_path):
    assert_error(
        call(TRAIN, config, '--data-root', tmp_path, '--work-dir', tmp_path),
        '--data-root: no data set of the config has a data_root')


def test_data_root_of_the_config(call, config, tmp_path):
    message = call(TRAIN, config, '--work-dir', tmp_path,
                   options=['train_dataloader.dataset.data_root=nope'])
    assert_error(message, 'no data at nope')
    assert snapshot(tmp_path) == {}


# checkpoints ---------------------------------------------------------------


def other_model(folder):
    path = folder / 'other.pth'
    torch.save(dict(state_dict=torch.nn.Linear(2, 2).state_dict()), path)
    return path


def test_missing_checkpoint(call, config, tmp_path):
    message = call(TEST, config, tmp_path / 'nope.pth', '--work-dir',
                   tmp_path)
    assert_error(message, 'no checkpoint at', 'nope.pth')
    assert os.listdir(tmp_path) == []


def test_checkpoint_of_another_model(call, config, tmp_path):
    message = call(TEST, config, other_model(tmp_path), '--work-dir',
                   tmp_path)
    assert_error(message, 'other.pth is a checkpoint of another model than '
                 'ToyModel', "missing, first ['hidden.weight'",
                 "unexpected, first ['weight', 'bias']")


def test_checkpoint_of_another_width(call, config, finished, tmp_path):
    message = call(TEST, config, finished / 'iter_6.pth', '--work-dir',
                   tmp_path, options=['model.width=4'])
    assert_error(message, 'hidden.weight (8, 3) instead of (4, 3)')


def test_checkpoint_that_is_none(call, config, tmp_path):
    (tmp_path / 'text.pth').write_text('hello')
    message = call(TEST, config, tmp_path / 'text.pth', '--work-dir',
                   tmp_path)
    assert_error(message, 'text.pth is damaged or no checkpoint')


def test_fine_tuning_from_another_model(call, config, tmp_path):
    message = call(TRAIN, config, '--work-dir', tmp_path,
                   options=[f'load_from={other_model(tmp_path)}'])
    assert_error(message, 'load_from:', 'no weight that ToyModel')


# resuming ------------------------------------------------------------------


def test_resume_where_nothing_is(call, config, tmp_path):
    message = call(TRAIN, config, '--work-dir', tmp_path, '--resume')
    assert_error(message, '--resume: nothing to resume in', str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_resume_from_a_missing_file(call, config, tmp_path):
    message = call(TRAIN, config, '--work-dir', tmp_path, '--resume',
                   tmp_path / 'nope.pth')
    assert_error(message, '--resume: no checkpoint', 'nope.pth')


def test_resume_where_the_checkpoint_was_removed(call, config, tmp_path):
    (tmp_path / 'last_checkpoint').write_text('/gone/iter_6.pth')
    message = call(TRAIN, config, '--work-dir', tmp_path, '--resume')
    assert_error(message, 'names /gone/iter_6.pth, which is not there')


def test_resume_with_another_model(call, config, finished):
    before = snapshot(finished)
    message = call(TRAIN, config, '--work-dir', finished, '--resume',
                   options=['model.width=4'])
    assert_error(message, 'iter_6.pth is a checkpoint of another model')
    assert snapshot(finished) == before


def test_resume_from_weights_alone(call, config, finished, tmp_path):
    best = next(finished.glob('best_*.pth'))
    message = call(TRAIN, config, '--work-dir', tmp_path, '--resume', best)
    assert_error(message, 'holds no optimizer state')


# testing -------------------------------------------------------------------


def test_test_measures_what_was_trained(call, config, finished, tmp_path):
    assert call(TEST, config, finished / 'iter_6.pth', '--work-dir',
                tmp_path) is None
    written, = tmp_path.glob('*/*.json')
    assert '"IoU": -' in written.read_text()


@pytest.mark.parametrize('arguments, part', [
    (['--tta'], '--tta expects tta_model in the config'),
    (['--out', 'maps'], '--out expects a ChangeMetric'),
    (['--show-dir', 'pictures'], 'expect default_hooks.visualization'),
])
def test_what_the_config_cannot_do(call, config, finished, tmp_path,
                                   arguments, part):
    message = call(TEST, config, finished / 'iter_6.pth', '--work-dir',
                   tmp_path, *arguments)
    assert_error(message, part)


def test_test_config_without_a_test_split(call, config, tmp_path):
    short = tmp_path / 'short.py'
    short.write_text(CONFIG + 'test_dataloader = None\n')
    assert_error(call(TEST, short, 'x.pth'), 'has no test_dataloader')


# other options of training -------------------------------------------------


def test_amp_on_a_cpu_is_bfloat16(call, config, tmp_path):
    assert call(TRAIN, config, '--work-dir', tmp_path, '--amp', '--seed', 5,
                options=['train_cfg.max_iters=1']) is None
    dumped = (tmp_path / 'toy_run.py').read_text()
    expected = ('AmpOptimWrapper'
                if torch.cuda.is_available() else 'Bf16OptimWrapper')
    assert expected in dumped
    assert 'seed=5' in dumped


def test_amp_with_a_wrapper_that_knows_none(call, config, tmp_path):
    message = call(TRAIN, config, '--work-dir', tmp_path, '--amp',
                   options=['optim_wrapper.type=ApexOptimWrapper'])
    assert_error(message, '--amp expects', 'found ApexOptimWrapper')


def test_launcher_without_its_launch(call, config, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.delenv('RANK', raising=False)
    message = call(TRAIN, config, '--work-dir', tmp_path, '--launcher',
                   'pytorch')
    assert_error(message, '--launcher pytorch expects', 'RANK')
