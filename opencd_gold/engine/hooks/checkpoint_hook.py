"""Checkpoints that a killed run cannot leave half-written or lost."""
import os
import tempfile
from pathlib import Path
from typing import List, Union

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook

from opencd_gold.registry import HOOKS


@register_backend('atomic_local', force=True)
class AtomicLocalBackend(LocalBackend):
    """Local files that exist under their name complete or not at all.

    A file is written beside its place, flushed to the disk and renamed.
    """

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Write a file.

        Args:
            obj (bytes): Its content.
            filepath (str | Path): Its place; folders are made.
        """
        filepath = Path(filepath)
        filepath.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(
            prefix=f'.{filepath.name}.', suffix='.part', dir=filepath.parent)
        try:
            with open(handle, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, filepath)
        except BaseException:
            os.unlink(temporary)
            raise

    def put_text(self,
                 obj: str,
                 filepath: Union[str, Path],
                 encoding: str = 'utf-8') -> None:
        """Write a text file; see :meth:`put`."""
        self.put(obj.encode(encoding), filepath)


def _umask() -> int:
    """File mode bits that the user wants off; reading them sets them."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


class _RemovalsLater:
    """A file backend that collects what it should remove.

    Args:
        backend (BaseStorageBackend): Does everything else.
    """

    def __init__(self, backend):
        self.backend = backend
        self.outdated: List[str] = []

    def remove(self, filepath: str) -> None:
        """Note a file for :meth:`flush`."""
        self.outdated.append(filepath)

    def flush(self) -> None:
        """Remove what was noted."""
        for filepath in self.outdated:
            if self.backend.isfile(filepath):
                self.backend.remove(filepath)
        self.outdated.clear()

    def __getattr__(self, name):
        return getattr(self.backend, name)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """Save checkpoints so that any instant is a good one to be killed.

    Differs from mmengine's hook in three points: files, ``last_checkpoint``
    among them, are complete or absent; an outdated checkpoint goes only after
    its successor is on the disk; before saving, all processes call the hook
    point ``before_gather_checkpoint``, where
    :class:`~opencd_gold.engine.hooks.RandomStateHook` collects their states
    (``before_save_checkpoint`` runs on the main process alone).

    Arguments are those of :class:`mmengine.hooks.CheckpointHook`, less
    ``file_client_args`` and ``backend_args``: it writes local files.
    """

    def __init__(self, *args, **kwargs) -> None:
        for name in ('file_client_args', 'backend_args'):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f'AtomicCheckpointHook writes local files and takes no '
                    f'{name}; found {kwargs[name]}')
        kwargs['backend_args'] = dict(backend='atomic_local')
        super().__init__(*args, **kwargs)

    def before_train(self, runner) -> None:
        """Find the folder, and clean up after a run that was killed."""
        super().before_train(runner)
        self.file_backend = _RemovalsLater(self.file_backend)
        if is_main_process():
            for part in Path(self.out_dir).glob('.*.pth.*.part'):
                part.unlink()

    def _save_checkpoint_with_step(self, runner, step, meta) -> None:
        """Save, point ``last_checkpoint`` at it, then drop the outdated."""
        self._outdate(runner, step)
        filename = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, filename)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.call_hook('before_gather_checkpoint')
        runner.save_checkpoint(
            self.out_dir,
            filename,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args)
        if is_main_process():
            self.file_backend.put_text(
                self.last_ckpt,
                os.path.join(runner.work_dir, 'last_checkpoint'))
            self.file_backend.flush()

    def _outdate(self, runner, step: int) -> None:
        """Count ``step`` among the kept ones and note those beyond them."""
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return
        if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
            outdated = self.filename_tmpl.format(self.keep_ckpt_ids[0])
            self.file_backend.remove(
                self.file_backend.join_path(self.out_dir, outdated))
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info('keep_ckpt_ids',
                                       list(self.keep_ckpt_ids))

    def _save_best_checkpoint(self, runner, metrics) -> None:
        """Save where a metric is better, then drop the one before."""
        self._check_indicators(metrics)
        super()._save_best_checkpoint(runner, metrics)
        if is_main_process():
            self.file_backend.flush()

    def _check_indicators(self, metrics: dict) -> None:
        """Refuse a ``save_best`` that no metric provides."""
        for name in self.key_indicators if self.save_best else ():
            if name != 'auto' and name not in metrics:
                raise KeyError(f'save_best={name!r} is not among the metrics '
                               f'of validation: {", ".join(metrics)}')
