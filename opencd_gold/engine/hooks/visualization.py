"""Pictures of predictions during validation and testing."""
import os.path as osp
from typing import Dict, Optional, Sequence

from mmengine.hooks import Hook
from mmengine.visualization import Visualizer

from opencd_gold.registry import HOOKS
from opencd_gold.visualization import ChangeVisualizer, write_picture


@HOOKS.register_module()
class ChangeVisualizationHook(Hook):
    """Draw samples with label, prediction and errors.

    Images are read again from ``img_path``, so that the picture shows the
    files and not what normalization made of them.

    Args:
        draw (bool): Whether to draw at all. Default: False.
        interval (int): Batches of validation from one drawn batch to the
            next. Default: 50.
        test_interval (int): The same of testing. Default: 1.
        show (bool): Whether to open a window. Default: False.
        wait_time (float): Seconds that the window stays; 0 is until a key
            is pressed. Default: 0.
        out_dir (str, optional): Folder of the pictures: ``STEM.png`` from
            testing, ``val_STEM_ITER.png`` from validation, with the stem of
            the first image. Every process writes its own samples. Default:
            None, then the visualizer's backends get the pictures of the
            first process.
        backend_args (dict, optional): Of the file client. Default: None.

    Raises:
        ValueError: If an interval is not positive.
    """

    def __init__(self,
                 draw: bool = False,
                 interval: int = 50,
                 test_interval: int = 1,
                 show: bool = False,
                 wait_time: float = 0.,
                 out_dir: Optional[str] = None,
                 backend_args: Optional[dict] = None) -> None:
        for name, value in (('interval', interval), ('test_interval',
                                                     test_interval)):
            if value < 1:
                raise ValueError(f'{name}={value}: expected 1 or more')
        self.draw = draw
        self.interval = interval
        self.test_interval = test_interval
        self.show = show
        self.wait_time = wait_time
        self.out_dir = out_dir
        self.backend_args = backend_args
        self._stems: Dict[str, str] = {}

    def before_run(self, runner) -> None:
        """Refuse a visualizer that cannot draw change.

        Raises:
            TypeError: If the runner's visualizer is no
                :class:`ChangeVisualizer`.
        """
        if self.draw and not isinstance(runner.visualizer, ChangeVisualizer):
            raise TypeError(
                "ChangeVisualizationHook expects visualizer=dict(type="
                "'ChangeVisualizer'), found "
                f'{type(runner.visualizer).__name__}')

    def after_val_iter(self, runner, batch_idx: int, data_batch=None,
                       outputs: Optional[Sequence] = None) -> None:
        """Draw every ``interval``-th batch of validation."""
        if self.draw and self.every_n_inner_iters(batch_idx, self.interval):
            self._draw_batch(runner.visualizer, outputs, runner.iter, 'val')

    def after_test_iter(self, runner, batch_idx: int, data_batch=None,
                        outputs: Optional[Sequence] = None) -> None:
        """Draw every ``test_interval``-th batch of testing."""
        if self.draw and self.every_n_inner_iters(batch_idx,
                                                  self.test_interval):
            self._draw_batch(runner.visualizer, outputs, runner.iter, 'test')

    def _draw_batch(self, visualizer: Visualizer, outputs: Sequence,
                    step: int, mode: str) -> None:
        """Draw the samples of a batch."""
        # Here, because models import the engine and never the data sets.
        from opencd_gold.datasets.reading import read_image
        for sample in outputs:
            images = [
                read_image(
                    path, color_order='rgb',
                    backend_args=self.backend_args)[0]
                for path in sample.img_path
            ]
            stem = self._stem(sample.img_path[0])
            if self.out_dir is None or self.show:
                visualizer.add_datasample(
                    stem if mode == 'test' else f'{mode}_{stem}', images,
                    sample, show=self.show, wait_time=self.wait_time,
                    step=step)
            if self.out_dir is not None:
                name = stem if mode == 'test' else f'{mode}_{stem}_{step}'
                write_picture(
                    visualizer.draw(images, sample, caption=stem),
                    osp.join(self.out_dir, f'{name}.png'))

    def _stem(self, path: str) -> str:
        """Stem of a file, with its folder if another file has that stem."""
        folder, name = osp.split(path)
        stem = osp.splitext(name)[0]
        if self._stems.setdefault(stem, path) == path:
            return stem
        return f'{osp.basename(folder)}_{stem}'
