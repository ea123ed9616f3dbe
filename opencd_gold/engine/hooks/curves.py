"""Curves of a run, drawn while it goes on and at its end."""
import atexit
import logging
import os.path as osp
from typing import Optional

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.logging import print_log

from opencd_gold.registry import HOOKS
from opencd_gold.visualization import curves


@HOOKS.register_module()
class LossCurveHook(Hook):
    """Draw every loss term, weight and figure of validation to a picture.

    The picture is renewed after each validation and at the end of training,
    also at an interruption that Python sees (an error, Ctrl-C), and goes on
    over a resumed run. What cannot be drawn is said in a warning and never
    ends a run. Only the first process draws.

    The scalars come from ``vis_data/scalars.json``, which the
    ``LocalVisBackend`` of mmengine's visualizer writes.

    Args:
        file_name (str): In the work directory. Default: ``'curves.png'``.
    """

    # After LoggerHook, which writes the scalars.
    priority = 'VERY_LOW'

    def __init__(self, file_name: str = 'curves.png') -> None:
        self.file_name = file_name
        self._work_dir: Optional[str] = None

    def before_train(self, runner) -> None:
        """Make sure that an interruption leaves curves, too."""
        self._work_dir = runner.work_dir
        atexit.register(self._draw)

    def after_val_epoch(self, runner, metrics=None) -> None:
        """Renew the picture, if this validation is part of training."""
        if self._work_dir is not None:
            self._draw()

    def after_run(self, runner) -> None:
        """Draw the whole run."""
        if self._work_dir is not None:
            atexit.unregister(self._draw)
            path = self._draw()
            if path:
                print_log(f'curves of the run: {path}', logger='current')
        self._work_dir = None

    @master_only
    def _draw(self) -> Optional[str]:
        """Draw what is logged so far; returns the path if it could be."""
        path = osp.join(self._work_dir, self.file_name)
        try:
            curves.draw_curves(curves.read_history(self._work_dir), path)
        except Exception as error:
            print_log(
                f'{path} was not drawn: {type(error).__name__}: {error}',
                logger='current',
                level=logging.WARNING)
            return None
        return path
