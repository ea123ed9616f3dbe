"""Everything the package knows of the quirks of its dependencies.

The only file that knows of mmcv without compiled ops, of ``torch.load`` and
of ``torch.distributed`` on a machine without CUDA. ``import opencd_gold``
calls :func:`apply`; nothing else has to.
"""
import importlib.machinery
import importlib.util
import os
import pickle
import sys
import types
import warnings

_EXT = 'mmcv._ext'
# (name, lowest tested version); newer ones are never refused.
_MINIMUM = (('torch', '2.1'), ('numpy', '1.26'), ('mmengine', '0.10'),
            ('mmcv', '2.0.0'), ('mmseg', '1.2'))


class UnsafeCheckpointError(pickle.UnpicklingError):
    """A checkpoint names an object that only running code could rebuild."""


class _MissingOps(types.ModuleType):
    """Stand-in for the compiled ops of mmcv: any op, none callable."""

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)

        def missing_op(*args, **kwargs):
            raise NotImplementedError(
                f'{name} is a compiled op of mmcv, and the installed mmcv '
                'has none (mmcv-lite). Install full mmcv to use it; '
                'opencd_gold itself never needs it.')

        missing_op.__name__ = name
        return missing_op


def ops_are_compiled() -> bool:
    """Whether the installed mmcv brings its compiled ops.

    Returns:
        bool: False with mmcv-lite, True with full mmcv.
    """
    ext = sys.modules.get(_EXT)
    if ext is not None:
        return not isinstance(ext, _MissingOps)
    return importlib.util.find_spec(_EXT) is not None


def install_ops_stand_in() -> None:
    """Let ``mmcv.ops`` import where mmcv has no compiled ops.

    Does nothing where the real ``mmcv._ext`` can be found.
    """
    if _EXT in sys.modules or ops_are_compiled():
        return
    ext = _MissingOps(_EXT)
    # mmengine looks modules up with pkgutil, which wants a spec.
    ext.__spec__ = importlib.machinery.ModuleSpec(_EXT, None)
    sys.modules[_EXT] = ext


def import_mmseg() -> None:
    """Import mmsegmentation, also beside an mmcv newer than it admits.

    mmseg 1.2.2 asserts ``mmcv < 2.2.0``. The names that it uses are the same
    in later releases, so the assertion sees the last version it admits, and
    a warning says so.
    """
    import mmcv
    from mmengine.utils import digit_version
    real = mmcv.__version__
    if digit_version(real) >= digit_version('2.2.0'):
        warnings.warn(
            f'mmcv {real} is newer than mmsegmentation admits (< 2.2.0): '
            'going on with it, untested',
            stacklevel=2)
        mmcv.__version__ = '2.1.0'
    try:
        import mmseg  # noqa: F401
    finally:
        mmcv.__version__ = real


def check_versions() -> None:
    """Refuse dependencies that are too old; say nothing of newer ones.

    Raises:
        ImportError: Naming the package, its version and the lowest that
            works.
    """
    from mmengine.utils import digit_version
    for name, lowest in _MINIMUM:
        found = importlib.import_module(name).__version__
        if digit_version(found.split('+')[0]) < digit_version(lowest):
            raise ImportError(
                f'opencd_gold needs {name} >= {lowest}, found {found}')


def _history_statistic(owner, name: str):
    """Stand for ``getattr`` in a pickled ``HistoryBuffer``, and no more.

    mmengine pickles the buffer's statistics as ``getattr(HistoryBuffer,
    'mean')``; the real ``getattr`` would open every object to a checkpoint.
    """
    from mmengine.logging.history_buffer import HistoryBuffer
    if owner is not HistoryBuffer or name not in ('min', 'max', 'current',
                                                  'mean'):
        raise UnsafeCheckpointError(
            f'GLOBAL getattr({owner!r}, {name!r}) was not allowed')
    return getattr(owner, name)


def _safe_globals() -> list:
    """Classes and functions that mmengine's checkpoints hold beside tensors.

    None of them runs code of the checkpoint's choosing. A pair stands for
    the object under another name.
    """
    import numpy as np
    from mmengine.logging.history_buffer import HistoryBuffer
    core = getattr(np, '_core', None) or np.core
    scalar_types = {type(np.dtype(kind)) for kind in
                    ('bool', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8',
                     'f2', 'f4', 'f8')}
    return [
        HistoryBuffer, np.ndarray, np.dtype, core.multiarray._reconstruct,
        core.multiarray.scalar, *scalar_types,
        (_history_statistic, 'builtins.getattr'),
        (_history_statistic, '__builtin__.getattr')
    ]


def load_checkpoint_file(filename, map_location='cpu'):
    """Read a local checkpoint without running anything that it holds.

    Args:
        filename (str | Path): The file.
        map_location: As in :func:`torch.load`. Default: ``'cpu'``.

    Returns:
        dict: What :func:`torch.save` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        UnsafeCheckpointError: If the file names an object beyond tensors,
            plain containers and the log history of mmengine.
        ValueError: If it is no checkpoint at all, or a damaged one.
    """
    import torch
    filename = os.path.expanduser(os.fspath(filename))
    if not os.path.isfile(filename):
        raise FileNotFoundError(f'no checkpoint at {filename}')
    try:
        return torch.load(
            filename, map_location=map_location, **_safe_load_arguments())
    except pickle.UnpicklingError as error:
        reason = str(error).split('GLOBAL ')[-1].split(' was not')[0]
        if 'GLOBAL ' in str(error) or isinstance(
                error, UnsafeCheckpointError):
            raise UnsafeCheckpointError(
                f'{filename} was refused: it wants {reason}, and loading '
                'that would run code from the file. Expected tensors, '
                'plain containers and mmengine log history.') from None
        raise ValueError(f'{filename} is not a checkpoint that torch.save '
                         f'wrote: {error}') from error
    except (EOFError, RuntimeError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f'{filename} is damaged or not a checkpoint: '
                         f'{error}') from error


def _torch_takes_safe_globals() -> bool:
    """Whether ``weights_only`` can be told of renamed safe objects."""
    import torch
    from mmengine.utils import digit_version
    return digit_version(torch.__version__.split('+')[0]) >= digit_version(
        '2.6')


def _safe_load_arguments() -> dict:
    """Arguments that make ``torch.load`` refuse code, for any torch."""
    if _torch_takes_safe_globals():
        return dict(weights_only=True)
    return dict(weights_only=False, pickle_module=restricted_pickle())


def restricted_pickle() -> types.ModuleType:
    """A pickle module that rebuilds tensors and safe globals alone.

    For torch before 2.6, whose ``weights_only`` takes no renamed objects.

    Returns:
        module: With ``Unpickler``, ``load`` and the names that ``torch.load``
        asks a pickle module for.
    """
    import torch
    allowed = {}
    for item in _safe_globals():
        if isinstance(item, tuple):
            item, name = item
            allowed[tuple(name.rsplit('.', 1))] = item
        else:
            allowed[item.__module__, item.__qualname__] = item

    class Unpickler(pickle.Unpickler):

        def find_class(self, module, name):
            if (module, name) in allowed:
                return allowed[module, name]
            tensors = (module == 'torch._utils'
                       and name.startswith('_rebuild_')
                       or module in ('torch', 'torch.storage')
                       and (name.endswith('Storage') or name == 'Size'
                            or isinstance(
                                getattr(torch, name, None), torch.dtype)))
            if tensors or (module, name) in (
                    ('collections', 'OrderedDict'),
                    ('torch.serialization', '_get_layout'),
                    ('_codecs', 'encode'), ('numpy.core.multiarray', 'scalar'),
                    ('numpy.core.multiarray', '_reconstruct')):
                return super().find_class(module, name)
            raise UnsafeCheckpointError(f'GLOBAL {module}.{name} was not')

    module = types.ModuleType('opencd_gold_restricted_pickle')
    module.Unpickler = Unpickler
    module.load = lambda file, **kwargs: Unpickler(file, **kwargs).load()
    module.UnpicklingError = pickle.UnpicklingError
    return module


def make_loading_safe() -> None:
    """Let every loader of mmengine read its own checkpoints, and no code.

    ``--resume``, ``load_from`` and ``init_cfg`` go through mmengine's local
    loader; it is replaced by :func:`load_checkpoint_file`.
    """
    import torch
    from mmengine.runner.checkpoint import CheckpointLoader
    if _torch_takes_safe_globals():
        torch.serialization.add_safe_globals(_safe_globals())
    CheckpointLoader.register_scheme(
        prefixes='', loader=load_checkpoint_file, force=True)


def init_dist(launcher: str) -> None:
    """Start the process group where mmengine's own way needs CUDA.

    mmengine's ``init_dist`` calls ``torch.cuda.set_device`` whatever the
    backend. The runner skips its own start when a group exists, so on a
    machine without CUDA a gloo group is started first; with CUDA nothing
    happens here.

    Args:
        launcher (str): ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Raises:
        RuntimeError: If the launcher's environment variables are absent.
    """
    import torch
    from torch import distributed
    if (launcher == 'none' or torch.cuda.is_available()
            or distributed.is_initialized()):
        return
    names = {
        'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
        'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
        'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE',
                'OMPI_COMM_WORLD_LOCAL_RANK')
    }[launcher]
    for source, target in zip(names, ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')):
        if source not in os.environ:
            raise RuntimeError(
                f'--launcher {launcher} expects the environment variable '
                f'{source}, which its launcher sets; found none')
        os.environ[target] = os.environ[source]
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    os.environ.setdefault('MASTER_PORT', '29500')
    distributed.init_process_group(backend='gloo')


def opencd_is_installed() -> bool:
    """Whether Open-CD can be imported; it is never imported from here.

    Returns:
        bool: True if a package ``opencd`` can be found.
    """
    return importlib.util.find_spec('opencd') is not None


def apply() -> None:
    """Settle all of it, once; called by ``import opencd_gold``."""
    install_ops_stand_in()
    import_mmseg()
    check_versions()
    make_loading_safe()
