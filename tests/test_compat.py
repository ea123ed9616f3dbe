"""Every quirk of the dependencies: that it is there, and that it is settled.

The tests `*_without` fail on the day a dependency mends its quirk: then the
workaround can go.
"""
import argparse
import os
import sys
import types
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from running import ROOT, run_processes, run_python

from opencd_gold import compat

SAFE_LOADERS = ('weights_only', 'restricted_pickle')


@pytest.fixture(params=SAFE_LOADERS)
def loader(request, monkeypatch):
    """Both ways of loading: of torch from 2.6 up, and of the older ones."""
    monkeypatch.setattr(compat, '_torch_takes_safe_globals',
                        lambda: request.param == 'weights_only')


class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path, )


class Sneaky:
    """Asks for an attribute through the name that HistoryBuffer needs."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


# mmcv without compiled ops ------------------------------------------------


@pytest.mark.skipif(compat.ops_are_compiled(), reason='full mmcv is here')
def test_mmseg_does_not_import_without():
    done = run_python('-c', 'import mmseg.models')
    assert "No module named 'mmcv._ext'" in done.stderr


@pytest.mark.skipif(compat.ops_are_compiled(), reason='full mmcv is here')
def test_op_of_the_stand_in_says_what_to_install():
    import mmcv.ops
    with pytest.raises(NotImplementedError, match='Install full mmcv'):
        mmcv.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)


def test_compiled_ops_are_left_alone(monkeypatch, tmp_path):
    (tmp_path / '_ext.py').write_text('nms = "compiled"')
    monkeypatch.delitem(sys.modules, 'mmcv._ext', raising=False)
    monkeypatch.setattr(mmcv, '__path__', [*mmcv.__path__, str(tmp_path)])
    compat.install_ops_stand_in()
    assert 'mmcv._ext' not in sys.modules
    assert compat.ops_are_compiled()
    from mmcv import _ext
    assert _ext.nms == 'compiled'
    monkeypatch.delitem(sys.modules, 'mmcv._ext')
    monkeypatch.delattr(mmcv, '_ext', raising=False)


def test_newer_mmcv_is_warned_of_and_used():
    newer = 'import mmcv; mmcv.__version__ = "2.3.0"\n'
    without = run_python('-c', f'{newer}import mmseg')
    assert 'AssertionError: MMCV==2.3.0' in without.stderr
    settled = run_python(
        '-c', f'{newer}import opencd_gold, mmseg.models\n'
        'print(mmcv.__version__)')
    assert settled.stdout.strip() == '2.3.0'
    assert 'mmcv 2.3.0 is newer than mmsegmentation admits' in settled.stderr


def test_missing_mmcv_says_what_to_install():
    done = run_python('-c', 'import sys; sys.modules["mmcv"] = None\n'
                      'import opencd_gold')
    assert done.stderr.strip().splitlines()[-1] == (
        'ImportError: opencd_gold needs mmcv: pip install mmcv-lite, or full '
        'mmcv')


# versions -----------------------------------------------------------------


def test_old_dependency_is_refused(monkeypatch):
    import mmengine
    monkeypatch.setattr(mmengine, '__version__', '0.9.1')
    with pytest.raises(ImportError, match='mmengine >= 0.10, found 0.9.1'):
        compat.check_versions()


def test_newer_dependency_is_not_refused(monkeypatch):
    monkeypatch.setattr(np, '__version__', '9.0.0')
    monkeypatch.setattr(torch, '__version__', '9.0.0+cpu')
    compat.check_versions()


def test_what_mmseg_forgets_is_required():
    required = (ROOT / 'requirements' / 'runtime.txt').read_text().split()
    assert {'ftfy', 'regex'} <= set(required)
    from mmseg.utils import tokenizer
    assert tokenizer.ftfy


# checkpoints --------------------------------------------------------------


@pytest.fixture
def history():
    buffer = HistoryBuffer()
    for value in (1., 4., 2.):
        buffer.update(value)
    return buffer


def test_history_of_mmengine_is_not_read_without(tmp_path, history):
    torch.save(dict(history=history), tmp_path / 'run.pth')
    done = run_python(
        '-c', 'import torch, mmengine.logging; '
        f'torch.load({str(tmp_path / "run.pth")!r}, weights_only=True)')
    assert 'UnpicklingError' in done.stderr


def test_history_of_mmengine_is_read(loader, tmp_path, history):
    torch.save(
        dict(
            history=history,
            best=np.float64(0.5),
            seed=np.int64(3),
            weight=torch.ones(2, dtype=torch.bfloat16)), tmp_path / 'run.pth')
    found = compat.load_checkpoint_file(tmp_path / 'run.pth')
    assert found['best'] == 0.5
    assert found['seed'] == 3
    assert torch.equal(found['weight'], torch.ones(2, dtype=torch.bfloat16))
    np.testing.assert_array_equal(found['history'].data[0], [1., 4., 2.])
    assert found['history'].statistics('max', 3) == 4


def assert_refused(load, folder, filename='evil.pth'):
    with pytest.raises(compat.UnsafeCheckpointError) as refused:
        load(str(folder / filename))
    message = str(refused.value)
    assert 'mkdir' in message
    assert 'would run code from the file' in message
    assert len(message.splitlines()) == 1
    assert not (folder / 'executed').exists()


@pytest.mark.parametrize('zipped', [True, False])
def test_code_in_a_checkpoint_is_refused(loader, tmp_path, zipped):
    torch.save(
        dict(state_dict={}, extra=Evil(tmp_path / 'executed')),
        tmp_path / 'evil.pth',
        _use_new_zipfile_serialization=zipped)
    assert_refused(compat.load_checkpoint_file, tmp_path)


@pytest.mark.parametrize('load', [
    CheckpointLoader.load_checkpoint,
    lambda path: load_checkpoint(torch.nn.Linear(1, 1), path),
    lambda path: CheckpointLoader.load_checkpoint(path, 'cpu'),
], ids=['loader', 'load_checkpoint', 'mapped'])
def test_loaders_of_mmengine_refuse_code(tmp_path, load):
    torch.save(Evil(tmp_path / 'executed'), tmp_path / 'evil.pth')
    assert_refused(load, tmp_path)


def test_download_that_wants_to_run_code_is_refused(tmp_path):
    (tmp_path / 'site').mkdir()
    torch.save(Evil(tmp_path / 'executed'), tmp_path / 'site' / 'evil.pth')
    from mmengine.runner import checkpoint
    assert_refused(
        lambda path: checkpoint.load_from_http(
            Path(path).as_uri(), model_dir=str(tmp_path / 'kept')),
        tmp_path, 'site/evil.pth')


def test_download_is_kept_and_read(tmp_path):
    (tmp_path / 'site').mkdir()
    source = tmp_path / 'site' / 'good.pth'
    torch.save(dict(weight=torch.ones(1)), source)
    for _ in range(2):
        found = compat.load_checkpoint_url(
            source.as_uri(), str(tmp_path / 'kept'), progress=False)
        assert found['weight'] == 1
        source.unlink(missing_ok=True)


def test_download_that_fails_says_where_the_file_goes(tmp_path):
    url = (tmp_path / 'absent.pth').as_uri()
    with pytest.raises(OSError, match='absent.pth could not be downloaded'
                       f'.*{tmp_path / "kept" / "absent.pth"}.*init_cfg=None'):
        compat.load_checkpoint_url(
            url, str(tmp_path / 'kept'), progress=False)
    assert not any((tmp_path / 'kept').iterdir())


def test_getattr_opens_nothing_but_statistics(loader, tmp_path):
    torch.save(dict(extra=Sneaky()), tmp_path / 'sneaky.pth')
    with pytest.raises(compat.UnsafeCheckpointError, match='getattr'):
        compat.load_checkpoint_file(tmp_path / 'sneaky.pth')


def test_foreign_object_is_named(loader, tmp_path):
    torch.save(dict(extra=argparse.Namespace(a=1)), tmp_path / 'a.pth')
    with pytest.raises(
            compat.UnsafeCheckpointError, match='wants argparse.Namespace'):
        compat.load_checkpoint_file(tmp_path / 'a.pth')


@pytest.mark.parametrize('damage', ['empty', 'text', 'cut', 'pickle'])
def test_damaged_checkpoint_gives_one_line(loader, tmp_path, damage):
    path = tmp_path / 'damaged.pth'
    torch.save(dict(weight=torch.ones(1000)), path)
    content = dict(
        empty=b'',
        text=b'hello',
        cut=path.read_bytes()[:2000],
        pickle=b'\x80\x04}\x94.')[damage]
    path.write_bytes(content)
    with pytest.raises(ValueError) as refused:
        compat.load_checkpoint_file(path)
    message = str(refused.value)
    assert message.startswith(f'{path} is damaged or no checkpoint')
    assert len(message.splitlines()) == 1
    assert 'weights_only' not in message


def test_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint at .*nope'):
        compat.load_checkpoint_file(tmp_path / 'nope.pth')


# several processes on a CPU -----------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs no help there')
def test_mmengine_needs_cuda_without(tmp_path):
    done = run_python(
        '-c', 'from mmengine.dist import init_dist; init_dist("pytorch")',
        RANK='0', WORLD_SIZE='1', LOCAL_RANK='0', MASTER_ADDR='127.0.0.1',
        MASTER_PORT='29400')
    assert done.returncode != 0
    assert 'cuda' in done.stderr.lower()


def test_two_gloo_processes_give_the_gradient_of_the_whole_batch(tmp_path):
    done = run_processes(2, ROOT / 'tests' / 'two_processes.py', tmp_path)
    assert done.returncode == 0, done.stderr
    found = torch.load(tmp_path / 'two.pth')
    expected = torch.load(tmp_path / 'one.pth')
    assert list(found) == list(expected)
    for key, gradient in expected.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(found[key], gradient, atol=1e-6, rtol=1e-5)


def test_launcher_that_did_not_launch_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.delenv('SLURM_PROCID', raising=False)
    with pytest.raises(RuntimeError, match='variable SLURM_PROCID'):
        compat.init_dist('slurm')
    with pytest.raises(ValueError, match="no launcher 'torch': expected"):
        compat.init_dist('torch')


def test_slurm_takes_the_first_machine(monkeypatch):
    started = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(
        compat.subprocess, 'run', lambda *args, **kwargs: types.
        SimpleNamespace(stdout='node3\nnode4\n'))
    monkeypatch.setattr(torch.distributed, 'init_process_group',
                        lambda backend: started.append(
                            (backend, dict(os.environ))))
    for name, value in dict(
            SLURM_PROCID='1', SLURM_NTASKS='2', SLURM_LOCALID='0',
            SLURM_NODELIST='node[3-4]').items():
        monkeypatch.setenv(name, value)
    for name in ('MASTER_ADDR', 'MASTER_PORT', 'RANK', 'WORLD_SIZE',
                 'LOCAL_RANK'):
        monkeypatch.setenv(name, 'unset')
        monkeypatch.delenv(name)
    compat.init_dist('slurm')
    (backend, environment), = started
    assert backend == 'gloo'
    assert environment['MASTER_ADDR'] == 'node3'
    assert (environment['RANK'], environment['WORLD_SIZE'],
            environment['LOCAL_RANK']) == ('1', '2', '0')


# Open-CD ------------------------------------------------------------------


def test_open_cd_is_only_looked_for(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, 'opencd', raising=False)
    (tmp_path / 'opencd').mkdir()
    (tmp_path / 'opencd' / '__init__.py').write_text('raise RuntimeError')
    monkeypatch.syspath_prepend(tmp_path)
    assert compat.opencd_is_installed()
    assert 'opencd' not in sys.modules


FAULTS = """
import os
import resource
import sys

import torch

os.environ.pop('THP_MEM_ALLOC_ENABLE', None)

if sys.argv[1] == 'package':
    import opencd_gold
else:
    torch.zeros(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.zeros(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.parametrize('old', [False, True])
def test_compilation_is_noticed_by_old_and_new_torch(monkeypatch, old):
    if old:  # torch 2.1 and 2.2
        new = torch.compiler.is_compiling
        monkeypatch.delattr(torch.compiler, 'is_compiling')
        monkeypatch.setattr(torch._utils, 'is_compiling', new, raising=False)
    assert compat.is_compiling() is False
    seen = []

    class Looks(torch.nn.Module):

        def forward(self, x):
            seen.append(compat.is_compiling())
            return x + 1

    torch.export.export(Looks(), (torch.ones(1), ))
    assert seen == [True]


def test_large_tensors_take_few_page_faults():
    """64 MiB: 16384 pages of 4 KiB, or 32 of 2 MiB."""
    setting = Path('/sys/kernel/mm/transparent_hugepage/enabled')
    mode = setting.read_text() if setting.is_file() else '[never]'
    with_package, without = (
        int(run_python('-c', FAULTS, who).stdout)
        for who in ('package', 'torch'))
    assert with_package <= without
    if '[madvise]' in mode:
        assert with_package < 2000 < 10000 < without


def test_huge_pages_stay_off_where_the_user_says_so(monkeypatch):
    monkeypatch.setenv('THP_MEM_ALLOC_ENABLE', '0')
    compat.use_huge_pages()
    assert os.environ['THP_MEM_ALLOC_ENABLE'] == '0'
    monkeypatch.delenv('THP_MEM_ALLOC_ENABLE')
    compat.use_huge_pages()
    assert os.environ['THP_MEM_ALLOC_ENABLE'] == '1'
