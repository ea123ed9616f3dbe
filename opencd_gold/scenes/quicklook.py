"""A scene small enough to look at."""
from pathlib import Path

import cv2
import numpy as np
import rasterio
from rasterio.enums import Resampling

from opencd_gold.visualization.panels import to_display

from .grid import Layer, LayerReader
from .parts import write_atomically

CHANGED = (213, 94, 0)


def blend(image: np.ndarray, mask: np.ndarray,
          alpha: float = 0.5) -> np.ndarray:
    """Color what changed.

    Args:
        image (ndarray): ``(H, W)`` or ``(H, W, C)``, RGB, any type.
        mask (ndarray): ``(H, W)``, changed where 1.
        alpha (float): Share of the color. Default: 0.5.

    Returns:
        ndarray: RGB ``(H, W, 3)`` uint8.
    """
    shown = to_display(image).astype(np.float32)
    changed = mask == 1
    shown[changed] += alpha * (np.array(CHANGED) - shown[changed])
    return np.rint(shown).astype(np.uint8)


def encode_png(pixels: np.ndarray) -> bytes:
    """An RGB or gray uint8 image as a PNG file."""
    if pixels.ndim == 3:
        pixels = pixels[..., ::-1]
    return cv2.imencode('.png', pixels)[1].tobytes()


def write_overlay(layer: Layer, mask: Path, target: Path,
                  size: int = 1024) -> None:
    """Draw the change of a scene over its first image, as PNG.

    Args:
        layer (Layer): The first image.
        mask (Path): Map on its grid, changed where 1.
        target (Path): To write.
        size (int): Longer side of the picture at most, in pixels.
            Default: 1024.

    Raises:
        SceneError: If the image cannot be read or the picture not written.
    """
    with rasterio.open(mask) as source:
        scale = min(1, size / max(source.shape))
        shape = tuple(max(1, round(scale * side)) for side in source.shape)
        changed = source.read(1, out_shape=shape, resampling=Resampling.mode)
    with LayerReader(layer) as reader:
        image, valid = reader.read_small(shape)
    image = np.where(valid, image, 0).transpose(1, 2, 0)
    write_atomically(target, encode_png(blend(image, changed)))
