"""Panels of a picture of change: display images, maps, layout.

Colors of the map of errors, chosen so that color-blind readers tell them
apart (M. Okabe and K. Ito, https://jfly.uni-koeln.de/color/):

========================  ===================
hit                       white
no change, found as such  black
false alarm               vermilion, #D55E00
miss                      sky blue, #56B4E9
ignored                   gray, #808080
========================  ===================
"""
from typing import TYPE_CHECKING, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np
from mmengine.visualization.utils import img_from_canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Color = Tuple[int, int, int]
HIT: Color = (255, 255, 255)
UNCHANGED: Color = (0, 0, 0)
FALSE_ALARM: Color = (0xD5, 0x5E, 0x00)
MISS: Color = (0x56, 0xB4, 0xE9)
IGNORED: Color = (0x80, 0x80, 0x80)

_DPI = 100
_INK = '#222222'
_FAINT = '#666666'
_GAP = 12


class Panel(NamedTuple):
    """One image of a picture.

    Attributes:
        title (str): Above the image on the left, bold.
        image (np.ndarray): RGB ``(H, W, 3)`` uint8.
        is_map (bool): Whether pixels are classes, never to be blended when
            they are enlarged.
        note (str): Above the image on the right, small.
    """

    title: str
    image: np.ndarray
    is_map: bool = False
    note: str = ''


def to_display(image: np.ndarray,
               sensor: Optional[str] = None,
               percentiles: Sequence[float] = (2, 98)) -> np.ndarray:
    """Make an image of any sensor and type visible.

    8-bit optical images are shown as they are, so that brightness can be
    compared between dates. SAR, and whatever is not 8-bit, is stretched
    linearly between two percentiles, each band by itself. Of three bands or
    more the first three are shown; of one or two, the first, gray.

    Args:
        image (np.ndarray): ``(H, W)`` or ``(H, W, C)``, RGB order, any type;
            pixels that are not finite are shown black.
        sensor (str, optional): ``'optical'`` or ``'sar'``. Default: None,
            as optical.
        percentiles (Sequence[float]): Shown as black and as white.
            Default: (2, 98).

    Returns:
        np.ndarray: RGB ``(H, W, 3)`` uint8.

    Raises:
        ValueError: If the array has neither two nor three axes.
    """
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3:
        raise ValueError(f'image of shape {image.shape}: expected (H, W) or '
                         '(H, W, C)')
    image = image[..., :3 if image.shape[-1] >= 3 else 1]
    if image.dtype != np.uint8 or sensor == 'sar':
        bands = [_stretch(band, percentiles) for band in np.moveaxis(
            image, -1, 0)]
        image = np.stack(bands, axis=-1)
    return np.ascontiguousarray(
        np.broadcast_to(image, image.shape[:2] + (3, )))


def _stretch(band: np.ndarray, percentiles: Sequence[float]) -> np.ndarray:
    """Stretch one band to 0..255; a constant one becomes mid-gray."""
    band = band.astype(np.float32)
    finite = np.isfinite(band)
    if not finite.any():
        return np.zeros(band.shape, np.uint8)
    low, high = np.percentile(band[finite], percentiles)
    if high <= low:
        low, high = band[finite].min(), band[finite].max()
    if high <= low:
        return np.where(finite, 128, 0).astype(np.uint8)
    scaled = (np.where(finite, band, low) - low) / (high - low)
    return np.where(finite, np.clip(scaled, 0, 1) * 255, 0).astype(np.uint8)


def class_map(indices: np.ndarray,
              palette: Sequence[Sequence[int]],
              ignore_index: int = 255) -> np.ndarray:
    """Color a map of classes.

    Args:
        indices (np.ndarray): ``(H, W)``.
        palette (Sequence[Sequence[int]]): RGB of each class.
        ignore_index (int): Drawn gray. Default: 255.

    Returns:
        np.ndarray: RGB ``(H, W, 3)`` uint8.
    """
    image = np.full(indices.shape + (3, ), IGNORED, np.uint8)
    for index, color in enumerate(palette):
        if index != ignore_index:
            image[indices == index] = color
    return image


def error_map(label: np.ndarray,
              prediction: np.ndarray,
              change_class: int = 1,
              ignore_index: int = 255) -> np.ndarray:
    """Draw hits, false alarms and misses in the colors of this module.

    Args:
        label (np.ndarray): Class indices ``(H, W)``.
        prediction (np.ndarray): Class indices ``(H, W)``.
        change_class (int): The class in question. Default: 1.
        ignore_index (int): Label of the pixels that count nothing.
            Default: 255.

    Returns:
        np.ndarray: RGB ``(H, W, 3)`` uint8.
    """
    changed = label == change_class
    found = prediction == change_class
    image = np.full(label.shape + (3, ), UNCHANGED, np.uint8)
    image[changed & found] = HIT
    image[~changed & found] = FALSE_ALARM
    image[changed & ~found] = MISS
    image[label == ignore_index] = IGNORED
    return image


def fit(panel: Panel, height: int, width: int) -> np.ndarray:
    """Resize a panel's image; enlarged maps keep their hard edges.

    Args:
        panel (Panel): With an image of any size.
        height (int): Rows.
        width (int): Columns.

    Returns:
        np.ndarray: RGB ``(height, width, 3)`` uint8.
    """
    rows, columns = panel.image.shape[:2]
    if (rows, columns) == (height, width):
        return panel.image
    if height * width < rows * columns:
        interpolation = cv2.INTER_AREA
    elif panel.is_map:
        interpolation = cv2.INTER_NEAREST
    else:
        interpolation = cv2.INTER_CUBIC
    return cv2.resize(
        panel.image, (width, height), interpolation=interpolation)


def draw_panels(rows: Sequence[Sequence[Panel]],
                height: int,
                width: int,
                legend: Sequence[Tuple[str, Color]] = (),
                caption: str = '') -> np.ndarray:
    """Set panels in rows, with titles, a legend and a caption.

    Args:
        rows (Sequence[Sequence[Panel]]): The panels, row by row; a row
            without any title or note gets no line for them.
        height (int): Rows of pixels of each panel.
        width (int): Columns of pixels of each panel.
        legend (Sequence[tuple]): Pairs of text and RGB color, explained
            below on the left. Default: none.
        caption (str): Small, below on the right. Default: none.

    Returns:
        np.ndarray: RGB uint8.
    """
    size = float(np.clip(width / 19, 12, 22))
    columns = max(map(len, rows))
    tops, bottom = [], 0
    for row in rows:
        titled = any(panel.title or panel.note for panel in row)
        tops.append(bottom + round(1.9 * size if titled else _GAP))
        bottom = tops[-1] + height
    foot = round(2.2 * size) if legend or caption else _GAP
    canvas = np.full((bottom + foot, _GAP + columns * (width + _GAP), 3), 255,
                     np.uint8)
    figure, axes = _blank_figure(canvas.shape)
    for row, top in zip(rows, tops):
        for index, panel in enumerate(row):
            left = _GAP + index * (width + _GAP)
            canvas[top:top + height, left:left + width] = fit(
                panel, height, width)
            _add_box(axes, left, top, width, height)
            baseline = top - .5 * size
            axes.text(left, baseline, panel.title, color=_INK,
                      fontsize=_points(size), weight='bold')
            axes.text(left + width, baseline, panel.note, color=_FAINT,
                      fontsize=_points(.9 * size), ha='right')
    axes.imshow(canvas, extent=(0, canvas.shape[1], canvas.shape[0], 0),
                interpolation='none')
    middle = bottom + foot / 2
    _draw_legend(axes, legend, _GAP, middle, size)
    axes.text(canvas.shape[1] - _GAP, middle, caption, color=_FAINT,
              fontsize=_points(.85 * size), ha='right', va='center')
    return img_from_canvas(figure.canvas)


def _points(pixels: float) -> float:
    """Font size in points of a height in pixels."""
    return pixels * 72 / _DPI


def _blank_figure(shape: Sequence[int]) -> Tuple['Figure', 'Axes']:
    """Figure whose data coordinates are pixels, y downwards."""
    height, width = shape[:2]
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    # A hundredth more, or rounding loses a pixel now and then.
    figure = Figure(((width + .01) / _DPI, (height + .01) / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes([0, 0, 1, 1])
    axes.axis('off')
    return figure, axes


def _add_box(axes: 'Axes', left: float, top: float, width: float,
             height: float, color: Optional[Color] = None) -> None:
    """Add a thin frame, filled where a color is given."""
    from matplotlib.patches import Rectangle
    face = 'none' if color is None else np.array(color) / 255
    axes.add_patch(
        Rectangle((left, top), width, height, facecolor=face,
                  edgecolor='#8A8A8A', linewidth=.6))


def _draw_legend(axes: 'Axes', legend: Sequence[Tuple[str, Color]],
                 left: float, middle: float, size: float) -> None:
    """Draw one swatch and word after the other."""
    renderer = axes.figure.canvas.get_renderer()
    for text, color in legend:
        _add_box(axes, left, middle - size / 2, size, size, color)
        word = axes.text(left + 1.5 * size, middle, text, color=_INK,
                         fontsize=_points(.9 * size), va='center')
        left += 3 * size + word.get_window_extent(renderer).width
