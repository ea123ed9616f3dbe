"""What the command-line tools have in common: options, configs, errors."""
import argparse
import difflib
import inspect
import logging
import os
import os.path as osp
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, NoReturn

import torch
from mmengine.config import Config, DictAction
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from opencd_gold.compat import init_dist
from opencd_gold.registry import OPTIMIZERS

_LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
_TRACEBACK = 'OPENCD_GOLD_TRACEBACK'
# Keys of a config that mmengine reads outside the runner's signature.
_TOP_LEVEL = {
    'activation_checkpointing', 'auto_scale_lr', 'compile',
    'custom_imports', 'efficient_conv_bn_eval', 'find_unused_parameters',
    'model_wrapper_cfg', 'sync_bn', 'tta_model', 'tta_pipeline'
}
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


class UsageError(Exception):
    """The user asked for something that cannot be done; the text says what."""


class OptionAction(DictAction):
    """mmengine's ``KEY=VALUE`` action that names what is no such pair."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Check, then parse as :class:`mmengine.config.DictAction` does."""
        for pair in values:
            if '=' not in pair:
                parser.error(f'{option_string}: expected KEY=VALUE, '
                             f'found {pair!r}')
        super().__call__(parser, namespace, values, option_string)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what training and testing both take.

    Args:
        parser (ArgumentParser): Gets ``config``, ``--work-dir``,
            ``--data-root``, ``--cfg-options``, ``--launcher`` and
            ``--local_rank``.
    """
    parser.epilog = f'{_TRACEBACK}=1 shows where an error came from.'
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help='folder of logs and checkpoints '
        '(default: work_dirs/NAME_OF_CONFIG)')
    parser.add_argument(
        '--data-root',
        help='root of the data, instead of what the config says')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionAction,
        metavar='KEY=VALUE',
        help='override the config, e.g. optim_wrapper.optimizer.lr=1e-4 or '
        'train_dataloader.dataset.pipeline.0.channels="(3,1)"')
    parser.add_argument(
        '--launcher', choices=_LAUNCHERS, default='none', help='job launcher')
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0,
        help='set by the launcher')


def add_band_arguments(parser: argparse._ActionsContainer) -> None:
    """Add ``--bands-from``, ``--range-from`` and those of the other date.

    Args:
        parser (ArgumentParser): Or a group of its arguments.
    """
    def numbers(text):
        return tuple(int(part) for part in text.split(','))

    for date in ('from', 'to'):
        parser.add_argument(
            f'--bands-{date}', type=numbers, metavar='N,N,...',
            help='bands to use, from 1 (default: all but alpha)')
        parser.add_argument(
            f'--range-{date}', type=float, nargs=2, metavar=('LOW', 'HIGH'),
            help='values that become 0 and 255, for models of 8-bit images')


@contextmanager
def clear_errors() -> Iterator[None]:
    """End the program with one line for whatever goes wrong in the block.

    For the part of a tool in which only the user's input can be wrong. Set
    ``OPENCD_GOLD_TRACEBACK=1`` to see the traceback instead.
    """
    try:
        yield
    except Exception as error:
        _stop(error)


@contextmanager
def clear_errors_until_start(runner: Runner) -> Iterator[None]:
    """Like :func:`clear_errors`, until the first batch is asked for.

    A runner builds data sets, optimizer and schedules, and loads its
    checkpoint, when it is told to run; until then errors are the config's.

    Args:
        runner (Runner): That the block lets run.
    """
    start = _StartHook()
    runner.register_hook(start)
    try:
        yield
    except Exception as error:
        if start.seen:
            raise
        _stop(error)


class _StartHook(Hook):
    """Remembers that training or testing began."""

    seen = False

    def before_train(self, runner) -> None:
        """Training began."""
        self.seen = True

    def before_test(self, runner) -> None:
        """Testing began."""
        self.seen = True


def _stop(error: Exception) -> NoReturn:
    """End the program with the text of an error."""
    if os.environ.get(_TRACEBACK):
        raise error
    raise SystemExit(f'error: {_describe(error)}') from None


def _describe(error: Exception) -> str:
    """Text of an error, without the advice that mmengine adds to some."""
    # str() of a KeyError puts quotes around its text.
    text = error.args[0] if isinstance(error, KeyError) and error.args \
        else error
    text = str(text).split(' Please check ')[0].strip()
    if isinstance(error, UsageError):
        return text
    if isinstance(error, KeyError) and ' ' not in text:
        return f'missing key {text!r}'
    return text or type(error).__name__


def load_config(args: argparse.Namespace) -> Config:
    """Read the config that the arguments name, and apply their overrides.

    Args:
        args (Namespace): Of :func:`add_common_arguments`.

    Returns:
        Config: With ``work_dir`` and ``launcher`` set.

    Raises:
        UsageError: If there is no such file, or an override names a key that
            is not there.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if not osp.isfile(args.config):
        raise UsageError(f'no config file {args.config}')
    try:
        cfg = Config.fromfile(args.config)
    except Exception as error:
        raise UsageError(f'{args.config} cannot be read: '
                         f'{_describe(error)}') from error
    if 'model' not in cfg:
        raise UsageError(f'{args.config} has no model: expected a config to '
                         'train, not a part of one')
    cfg.setdefault('default_scope', 'opencd_gold')
    if args.cfg_options:
        check_options(cfg, args.cfg_options)
        cfg.merge_from_dict(args.cfg_options)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    if args.work_dir:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('work_dirs', Path(args.config).stem)
    cfg.launcher = args.launcher
    return cfg


def check_options(cfg: Config, options: Dict[str, Any]) -> None:
    """Refuse overrides that mmengine would take and nothing would read.

    A new key is accepted where it resembles none of its neighbours; whether
    it means anything is for the constructor to say that gets it.

    Args:
        cfg (Config): To be overridden.
        options (dict): New values by dotted key.

    Raises:
        UsageError: Naming the key and what it probably should be.
    """
    known = set(inspect.signature(Runner.__init__).parameters) | _TOP_LEVEL
    for key in options:
        node = cfg.to_dict()
        path = []
        for part in key.split('.'):
            where = '.'.join(path) or 'the config'
            if isinstance(node, (list, tuple)):
                if not part.isdecimal() or int(part) >= len(node):
                    raise UsageError(
                        f'--cfg-options {key}: {where} is a list of '
                        f'{len(node)}: expected an index below, '
                        f'found {part!r}')
                node = node[int(part)]
            elif not isinstance(node, dict):
                raise UsageError(f'--cfg-options {key}: {where} is '
                                 f'{node!r} and has no {part!r}')
            elif part in node:
                node = node[part]
            elif not path and part in known:
                break
            else:
                names = set(map(str, node)) | (set() if path else known)
                similar = difflib.get_close_matches(part, names, 1, 0.8)
                if similar or not path:
                    hint = f', but {similar[0]!r}' if similar else ''
                    raise UsageError(f'--cfg-options {key}: {where} has no '
                                     f'{part!r}{hint}')
                break
            path.append(part)


def set_data_root(cfg: Config, root: str) -> None:
    """Point every data set of a config to another root.

    Args:
        cfg (Config): Changed in place.
        root (str): Folder that the config's ``data_prefix`` starts from.

    Raises:
        UsageError: If there is no such folder, or no data set to point.
    """
    if not osp.isdir(root):
        raise UsageError(f'--data-root: no folder {root}')
    if not sum(_set_root(cfg.get(name), root) for name in _LOADERS):
        raise UsageError('--data-root: no data set of the config has a '
                         'data_root')


def _set_root(node: Any, root: str) -> int:
    """Set ``data_root`` wherever it is below ``node``; return how often."""
    if isinstance(node, (list, tuple)):
        return sum(_set_root(item, root) for item in node)
    if not isinstance(node, dict):
        return 0
    found = int('data_root' in node)
    if found:
        node['data_root'] = root
    return found + sum(
        _set_root(value, root) for key, value in node.items()
        if key != 'pipeline')


def use_amp(cfg: Config) -> None:
    """Switch training to mixed precision.

    On CUDA float16 with a loss scaler, on a CPU bfloat16 without one. A
    config that has mixed precision already stays as it is.

    Args:
        cfg (Config): Changed in place.

    Raises:
        UsageError: If its optimizer wrapper knows no mixed precision.
    """
    wrapper = cfg.optim_wrapper
    kind = wrapper.get('type', 'OptimWrapper').split('.')[-1]
    if kind in ('AmpOptimWrapper', 'Bf16OptimWrapper'):
        return
    if kind != 'OptimWrapper':
        raise UsageError(
            f'--amp expects optim_wrapper.type OptimWrapper, found {kind}')
    if torch.cuda.is_available():
        wrapper.type = 'AmpOptimWrapper'
        wrapper.loss_scale = 'dynamic'
    else:
        wrapper.type = 'Bf16OptimWrapper'


def build_runner(cfg: Config) -> Runner:
    """Start the processes' group where one is asked for, build the runner.

    Args:
        cfg (Config): Of :func:`load_config`. Its ``sync_bn`` is dropped
            where there is no CUDA, which torch needs for it.

    Returns:
        Runner: Data sets are not read yet.
    """
    if not torch.cuda.is_available():
        cfg.pop('sync_bn', None)
    init_dist(cfg.launcher)
    return Runner.from_cfg(cfg)


def check_optimizer(cfg: Config) -> None:
    """Refuse an optimizer that mmengine would not find, and not name.

    Args:
        cfg (Config): Of a runner that is built, so that its scope is set.

    Raises:
        UsageError: Naming the type.
    """
    optimizer = cfg.optim_wrapper.get('optimizer', {})
    kind = optimizer.get('type') if isinstance(optimizer, dict) else None
    if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
        raise UsageError(f'optim_wrapper.optimizer.type: {kind} is not in '
                         'the optimizer registry')


def bare_model(runner: Runner) -> nn.Module:
    """The model of a runner without wrappers.

    Args:
        runner (Runner): Of training or testing.

    Returns:
        nn.Module: What the config's ``model`` built, freed of distributed
        and test-time-augmentation wrappers.
    """
    model = runner.model
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def find_resumable(work_dir: str, asked: str) -> str:
    """The checkpoint that ``--resume`` means.

    Args:
        work_dir (str): Of the run.
        asked (str): ``'auto'``, or the path of a checkpoint.

    Returns:
        str: Path of an existing checkpoint.

    Raises:
        UsageError: If there is none.
    """
    if asked != 'auto':
        if not osp.isfile(asked):
            raise UsageError(f'--resume: no checkpoint {asked}')
        return asked
    pointer = Path(work_dir, 'last_checkpoint')
    if not pointer.is_file():
        raise UsageError(f'--resume: nothing to resume in {work_dir}, it has '
                         'no last_checkpoint; leave --resume out to start')
    written = pointer.read_text().strip()
    # The folder may have been moved since.
    for path in (written, osp.join(work_dir, osp.basename(written))):
        if osp.isfile(path):
            return path
    raise UsageError(f'--resume: {pointer} names {written}, which is not '
                     'there')


def warn_of_earlier_run(work_dir: str) -> None:
    """Say that a new run shares its folder with the checkpoints of another.

    Args:
        work_dir (str): Of the new run.
    """
    if Path(work_dir, 'last_checkpoint').is_file():
        print_log(
            f'{work_dir} holds checkpoints of an earlier run, and this one '
            'starts anew: those of the same name will be replaced. --resume '
            'goes on with it, --work-dir keeps it.',
            logger='current',
            level=logging.WARNING)


def overlapping_keys(model: nn.Module, checkpoint: dict) -> int:
    """How many weights of a checkpoint a model can take over.

    Args:
        model (nn.Module): To be fine-tuned.
        checkpoint (dict): With ``state_dict``, or a state dict itself.

    Returns:
        int: Keys of the model that the checkpoint has in the same shape.
    """
    state = checkpoint.get('state_dict', checkpoint)
    return sum(
        key in state and state[key].shape == value.shape
        for key, value in model.state_dict().items())
