"""Pictures of samples: images, label, predictions and their errors."""
from typing import List, NamedTuple, Optional, Sequence, Tuple

import mmcv
import numpy as np
from mmengine.dist import master_only
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer

from opencd_gold.registry import VISUALIZERS

from . import panels
from .panels import Panel

_ROLES = ('before', 'after', 'guide')
_SENSOR_NAMES = dict(optical='optical', sar='SAR')
_PREDICTIONS = (('pred_sem_seg', 'Prediction', 'Errors'),
                ('teacher_pred_sem_seg', 'Teacher', 'Teacher errors'))
_LEGEND = (('hit', panels.HIT), ('false alarm', panels.FALSE_ALARM),
           ('miss', panels.MISS), ('no change', panels.UNCHANGED))


class _Drawing(NamedTuple):
    """Panels of one sample.

    Attributes:
        images (list[Panel]): Dates and guide.
        label (list[Panel]): The label, or nothing.
        found (list[Panel]): Predictions, each before its errors.
        ignores (bool): Whether the label has ignored pixels.
    """

    images: List[Panel]
    label: List[Panel]
    found: List[Panel]
    ignores: bool


@VISUALIZERS.register_module()
class ChangeVisualizer(Visualizer):
    """Draw what a change detector was given, found and missed.

    A picture holds the images A (before), B (after) and C (guide) where it
    is there, the label, the prediction, the map of errors, and both for the
    teacher where the data sample holds ``teacher_pred_sem_seg``. The colors
    of errors are those of :mod:`opencd_gold.visualization.panels`.

    Args:
        name (str): Name of the instance. Default: ``'visualizer'``.
        vis_backends (list[dict], optional): Of mmengine. Default: None.
        save_dir (str, optional): Where the backends write. Default: None.
        panel_size (int, optional): Longer side of a panel in pixels.
            Default: None, that of the images, but 256 to 512.
        change_class (int): Class that errors are drawn of. Default: 1.
        ignore_index (int): Label of ignored pixels. Default: 255.
        palette (Sequence[Sequence[int]]): RGB of the classes, where the data
            set names none. Default: black and white.
    """

    def __init__(self,
                 name: str = 'visualizer',
                 vis_backends: Optional[List[dict]] = None,
                 save_dir: Optional[str] = None,
                 panel_size: Optional[int] = None,
                 change_class: int = 1,
                 ignore_index: int = 255,
                 palette: Sequence[Sequence[int]] = ((0, 0, 0),
                                                     (255, 255, 255))
                 ) -> None:
        super().__init__(
            name=name, vis_backends=vis_backends, save_dir=save_dir)
        if panel_size is not None and panel_size < 32:
            raise ValueError(
                f'panel_size={panel_size}: expected 32 pixels or more')
        self.panel_size = panel_size
        self.change_class = change_class
        self.ignore_index = ignore_index
        self.palette = palette

    def draw(self,
             images: Sequence[np.ndarray],
             data_sample: Optional[BaseDataElement] = None,
             draw_gt: bool = True,
             draw_pred: bool = True,
             caption: str = '') -> np.ndarray:
        """Draw the picture of one sample.

        Args:
            images (Sequence[np.ndarray]): ``(H, W, C)`` of the dates and the
                guide, in order; RGB order, each with its own type, bands and
                size.
            data_sample (SegDataSample, optional): May hold ``gt_sem_seg``,
                ``pred_sem_seg`` and ``teacher_pred_sem_seg``, each
                ``(1, H, W)``, and the meta information ``sensors``.
                Default: None.
            draw_gt (bool): Whether to show the label. Default: True.
            draw_pred (bool): Whether to show predictions. Default: True.
            caption (str): Below the picture. Default: none.

        Returns:
            np.ndarray: RGB uint8.
        """
        drawing = self._panels(images, data_sample, draw_gt, draw_pred)
        return self._set(_arrange(drawing), [drawing], caption)

    def draw_sheet(
        self, samples: Sequence[Tuple[Sequence[np.ndarray], BaseDataElement]]
    ) -> np.ndarray:
        """Draw several samples below one another, one row each.

        Args:
            samples (Sequence[tuple]): Images and data sample of each, as
                :meth:`draw` takes them.

        Returns:
            np.ndarray: RGB uint8.
        """
        drawings = [self._panels(*sample) for sample in samples]
        rows = [[*d.images, *d.label, *d.found] for d in drawings]
        titles = [panel.title for panel in rows[0]]
        for row in rows[1:]:
            if [panel.title for panel in row] == titles:
                row[:] = [panel._replace(title='') for panel in row]
        return self._set(rows, drawings, '')

    @master_only
    def add_datasample(self,
                       name: str,
                       images: Sequence[np.ndarray],
                       data_sample: Optional[BaseDataElement] = None,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       show: bool = False,
                       wait_time: float = 0,
                       out_file: Optional[str] = None,
                       step: int = 0) -> None:
        """Draw a sample and show it, write it or hand it to the backends.

        Args:
            name (str): Of the picture.
            images (Sequence[np.ndarray]): See :meth:`draw`.
            data_sample (SegDataSample, optional): See :meth:`draw`.
            draw_gt (bool): Whether to show the label. Default: True.
            draw_pred (bool): Whether to show predictions. Default: True.
            show (bool): Whether to open a window. Default: False.
            wait_time (float): Seconds that the window stays; 0 is until a
                key is pressed. Default: 0.
            out_file (str, optional): File to write instead of handing the
                picture to the backends. Default: None.
            step (int): Of training, for the backends. Default: 0.
        """
        picture = self.draw(images, data_sample, draw_gt, draw_pred, name)
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            write_picture(picture, out_file)
        elif not show:
            self.add_image(name, picture, step)

    def _set(self, rows: List[List[Panel]], drawings: Sequence[_Drawing],
             caption: str) -> np.ndarray:
        """Set rows at one size of panel, with the legend that they need."""
        height, width = max((panel.image.shape[:2] for panel in rows[0]),
                            key=np.prod)
        longer = self.panel_size or int(np.clip(max(height, width), 256, 512))
        scale = longer / max(height, width)
        legend = []
        if any(len(drawing.found) > 1 for drawing in drawings):
            legend.extend(_LEGEND)
        if any(drawing.ignores for drawing in drawings):
            legend.append(('ignored', panels.IGNORED))
        return panels.draw_panels(
            rows, max(1, round(height * scale)), max(1, round(width * scale)),
            legend, caption)

    def _panels(self,
                images: Sequence[np.ndarray],
                data_sample: Optional[BaseDataElement] = None,
                draw_gt: bool = True,
                draw_pred: bool = True) -> _Drawing:
        """Make the panels of one sample."""
        sample = {} if data_sample is None else data_sample
        sensors = sample.get('sensors') or [None] * len(images)
        shown = [
            Panel(_title(index, sensor), panels.to_display(image, sensor))
            for index, (image, sensor) in enumerate(zip(images, sensors))
        ]
        label = _indices(sample, 'gt_sem_seg') if draw_gt else None
        label_panels, found_panels = [], []
        if label is not None:
            label_panels.append(
                Panel('Label', self._colored(label), True,
                      self._changed_note(label)))
        for key, title, errors in _PREDICTIONS if draw_pred else ():
            found = _indices(sample, key)
            if found is None:
                continue
            found_panels.append(Panel(title, self._colored(found), True))
            if label is not None:
                found_panels.append(
                    Panel(
                        errors,
                        panels.error_map(label, found, self.change_class,
                                         self.ignore_index), True,
                        self._score_note(label, found)))
        ignores = label is not None and bool(
            (label == self.ignore_index).any())
        return _Drawing(shown, label_panels, found_panels, ignores)

    def _colored(self, indices: np.ndarray) -> np.ndarray:
        """Color classes by the palette of the data set, or the default."""
        palette = (self._dataset_meta or {}).get('palette') or self.palette
        return panels.class_map(indices, palette, self.ignore_index)

    def _changed_note(self, label: np.ndarray) -> str:
        """Say how much of the valid area changed."""
        valid = (label != self.ignore_index).sum()
        if not valid:
            return ''
        changed = (label == self.change_class).sum() / valid
        return f'{100 * changed:.1f} % changed'

    def _score_note(self, label: np.ndarray, found: np.ndarray) -> str:
        """Give the IoU of the change class, where it is defined."""
        valid = label != self.ignore_index
        changed = valid & (label == self.change_class)
        reported = valid & (found == self.change_class)
        union = (changed | reported).sum()
        if not union:
            return ''
        return f'IoU {100 * (changed & reported).sum() / union:.1f}'


def _arrange(drawing: _Drawing) -> List[List[Panel]]:
    """Put images above, maps below, the label where it fits better."""
    images, label, found = drawing.images, drawing.label, drawing.found
    if not found:
        return [images + label]
    if len(images) < len(label + found):
        return [images + label, found]
    return [images, label + found]


def _indices(sample, key: str) -> Optional[np.ndarray]:
    """Class indices ``(H, W)`` of a data sample, or None."""
    if key not in sample:
        return None
    return sample.get(key).data.squeeze(0).long().cpu().numpy()


def _title(index: int, sensor: Optional[str]) -> str:
    """Letter, role and sensor of an image."""
    said = [*_ROLES[index:index + 1], *filter(None, [sensor])]
    words = ', '.join(_SENSOR_NAMES.get(word, word) for word in said)
    return f'{chr(ord("A") + index)}  {words}'


def write_picture(picture: np.ndarray, path: str) -> None:
    """Write a picture, making the folder it goes to.

    Args:
        picture (np.ndarray): RGB uint8.
        path (str): File name, its suffix says the format.
    """
    mmcv.imwrite(mmcv.rgb2bgr(picture), path)
