"""Everything the package knows of the quirks of its dependencies.

The only file that knows of mmcv without compiled ops, of ``torch.load`` and
of ``torch.distributed`` on a machine without CUDA. ``import opencd_gold``
calls :func:`apply`; nothing else has to.
"""
import functools
import gc
import importlib.machinery
import importlib.util
import os
import pickle
import re
import subprocess
import sys
import types
import warnings
from typing import Optional, Tuple
from urllib.parse import urlparse

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
    try:
        return importlib.util.find_spec(_EXT) is not None
    except ModuleNotFoundError:
        return False


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

    Raises:
        ImportError: If there is no mmcv of either kind.
    """
    try:
        import mmcv
    except ImportError:
        raise ImportError('opencd_gold needs mmcv: pip install mmcv-lite, '
                          'or full mmcv') from None
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
                     'f2', 'f4', 'f8', 'U1')}
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
        reason, unsafe = _why_not_unpickled(str(error))
        if unsafe or isinstance(error, UnsafeCheckpointError):
            raise UnsafeCheckpointError(
                f'{filename} was refused: it wants {reason}, and loading '
                'that would run code from the file. Expected tensors, '
                'plain containers and mmengine log history.') from None
    except (EOFError, KeyError, UnicodeDecodeError) as error:
        reason = f'{type(error).__name__} {error}'
    except RuntimeError as error:
        reason = str(error).split('. ')[0]
    raise ValueError(
        f'{filename} is damaged or no checkpoint of torch.save: {reason}')


def _why_not_unpickled(message: str) -> Tuple[str, bool]:
    """Find the cause in torch's page of advice.

    Args:
        message (str): Of an ``UnpicklingError``.

    Returns:
        tuple[str, bool]: The cause, and whether it is an object that is not
        allowed (else the file is not in order).
    """
    wanted = re.search(r'GLOBAL ([^\s]+)', message)
    if wanted:
        return wanted.group(1), True
    cause = message.split('WeightsUnpickler error:')[-1].strip()
    cause = cause.splitlines()[0] if cause else 'unreadable pickle'
    wanted = re.search(r"got <class '([^']+)'>", cause)
    return (wanted.group(1), True) if wanted else (cause, False)


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


def load_checkpoint_url(url: str,
                        model_dir: Optional[str] = None,
                        map_location='cpu',
                        progress: bool = True):
    """Download a checkpoint once and read it without running code.

    Args:
        url (str): Where it is, ``http`` or ``https``.
        model_dir (str, optional): Folder to keep it in. Default: None, the
            one of :func:`torch.hub.get_dir`.
        map_location: As in :func:`torch.load`. Default: ``'cpu'``.
        progress (bool): Whether to show the download. Default: True.

    Returns:
        dict: What :func:`load_checkpoint_file` returns.

    Raises:
        OSError: If it can't be downloaded.
    """
    import torch
    folder = model_dir or os.path.join(torch.hub.get_dir(), 'checkpoints')
    os.makedirs(folder, exist_ok=True)
    filename = os.path.join(folder, os.path.basename(urlparse(url).path))
    if not os.path.exists(filename):
        try:
            torch.hub.download_url_to_file(url, filename, progress=progress)
        except OSError as error:
            raise OSError(
                f'{url} could not be downloaded ({error}). Put the file at '
                f'{filename}, or train from scratch with init_cfg=None of '
                'the module that names it') from error
    return load_checkpoint_file(filename, map_location)


def make_loading_safe() -> None:
    """Let the loaders of mmengine read its own checkpoints, and no code.

    ``--resume``, ``load_from`` and ``init_cfg`` go through them; files and
    downloads are read by :func:`load_checkpoint_file`.
    """
    import torch
    from mmengine.runner import checkpoint

    # mmengine logs the name, from the eleventh letter on.
    def load_from_local(filename, map_location=None):
        return load_checkpoint_file(filename, map_location)

    if _torch_takes_safe_globals():
        torch.serialization.add_safe_globals(_safe_globals())
    checkpoint.CheckpointLoader.register_scheme(
        prefixes='', loader=load_from_local, force=True)
    checkpoint.load_url = load_checkpoint_url


# What each launcher calls rank, world size and local rank.
_LAUNCHERS = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE',
            'OMPI_COMM_WORLD_LOCAL_RANK')
}


def process_of(launcher: str) -> Tuple[int, int, int]:
    """Which of the launcher's processes this one is.

    For work that is shared without a process group.

    Args:
        launcher (str): ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Returns:
        tuple[int, int, int]: Rank, world size, local rank.

    Raises:
        RuntimeError: If the launcher's environment variables are absent.
    """
    if launcher == 'none':
        return 0, 1, 0
    return tuple(
        _of_launcher(launcher, name) for name in _LAUNCHERS[launcher])


def _of_launcher(launcher: str, name: str) -> int:
    """A variable that a launcher sets."""
    if name not in os.environ:
        raise RuntimeError(
            f'--launcher {launcher} expects the environment variable '
            f'{name}, which its launcher sets; found none')
    return int(os.environ[name])


def init_dist(launcher: str) -> None:
    """Start the process group where mmengine's own way needs CUDA.

    mmengine's ``init_dist`` calls ``torch.cuda.set_device`` whatever the
    backend, and its runner names a CUDA device for every module that it
    wraps. The runner skips its own start when a group exists, so on a
    machine without CUDA a gloo group is started first, and modules on the
    CPU are wrapped without a device; with CUDA nothing happens here.

    Args:
        launcher (str): ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Raises:
        ValueError: If there is no such launcher.
        RuntimeError: If the launcher's environment variables are absent.
    """
    import torch
    from torch import distributed
    if launcher != 'none' and launcher not in _LAUNCHERS:
        raise ValueError(f'no launcher {launcher!r}: expected none, '
                         f'{", ".join(_LAUNCHERS)}')
    if launcher == 'none' or torch.cuda.is_available():
        return
    _wrap_cpu_modules()
    if distributed.is_initialized():
        return
    names = _LAUNCHERS[launcher]
    for source, target in zip(names, _LAUNCHERS['pytorch']):
        os.environ[target] = str(_of_launcher(launcher, source))
    if launcher == 'slurm' and 'MASTER_ADDR' not in os.environ:
        os.environ['MASTER_ADDR'] = subprocess.run(
            ['scontrol', 'show', 'hostname', os.environ['SLURM_NODELIST']],
            check=True, capture_output=True, text=True).stdout.split()[0]
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    os.environ.setdefault('MASTER_PORT', '29500')
    distributed.init_process_group(backend='gloo')


def end_dist() -> None:
    """Leave the group that :func:`init_dist` started, all processes at once.

    To be called when runner and model are out of scope. A process that
    exits with gloo's threads running is aborted now and then, and one that
    leaves the group while it holds a wrapped model may hang.
    """
    import torch
    from torch import distributed
    if torch.cuda.is_available() or not distributed.is_initialized():
        return
    gc.collect()
    distributed.barrier()
    distributed.destroy_process_group()


def _wrap_cpu_modules() -> None:
    """Let mmengine's runner wrap a module that is on the CPU.

    It passes ``device_ids=[LOCAL_RANK]``, which torch refuses there.
    """
    from mmengine.model import MMDistributedDataParallel
    init = MMDistributedDataParallel.__init__
    if getattr(init, 'wraps_cpu_modules', False):
        return

    @functools.wraps(init)
    def init_without_device(self, *args, device_ids=None, **kwargs):
        init(self, *args, device_ids=None, **kwargs)

    init_without_device.wraps_cpu_modules = True
    MMDistributedDataParallel.__init__ = init_without_device


def is_compiling() -> bool:
    """Whether ``torch.compile`` or ``torch.export`` is reading the code.

    ``torch.compiler.is_compiling`` came with torch 2.3; before it the same
    stood in ``torch._utils``.

    Returns:
        bool: False when the code just runs.
    """
    import torch
    if hasattr(torch.compiler, 'is_compiling'):
        return torch.compiler.is_compiling()
    return torch._utils.is_compiling()


def opencd_is_installed() -> bool:
    """Whether Open-CD can be imported; it is never imported from here.

    Returns:
        bool: True if a package ``opencd`` can be found.
    """
    return importlib.util.find_spec('opencd') is not None


def use_huge_pages() -> None:
    """Ask torch for huge pages, unless the environment says otherwise.

    Feature maps are so large that Linux hands their memory back after every
    use; getting it anew in pages of 4 KiB takes a tenth of a training step on
    a CPU. Torch reads ``THP_MEM_ALLOC_ENABLE`` with its first tensor; where
    the system has no huge pages nothing changes.
    """
    os.environ.setdefault('THP_MEM_ALLOC_ENABLE', '1')


def apply() -> None:
    """Settle all of it, once; called by ``import opencd_gold``."""
    use_huge_pages()
    install_ops_stand_in()
    import_mmseg()
    check_versions()
    make_loading_safe()
