"""What every transform of several images shares."""
from typing import Callable, Optional, Sequence

import numpy as np
from mmcv.transforms import BaseTransform

_CV2_TYPES = (np.uint8, np.uint16, np.int16, np.float32, np.float64)
_CV2_BANDS = 4


def by_bands(image: np.ndarray, function: Callable) -> np.ndarray:
    """Run an OpenCV function on an image of any type and number of bands.

    OpenCV drops the axis of a single band, takes four bands at most in some
    functions, and knows few types.

    Args:
        image (ndarray): ``(H, W, C)``.
        function (Callable): Takes and gives ``(H, W[, c])`` with
            ``c <= 4``.

    Returns:
        ndarray: ``(H', W', C)``, of the type of ``image``.
    """
    dtype = image.dtype
    if dtype not in _CV2_TYPES:
        image = image.astype(np.float32)
    parts = []
    for start in range(0, image.shape[2], _CV2_BANDS):
        part = function(
            np.ascontiguousarray(image[..., start:start + _CV2_BANDS]))
        parts.append(part[..., None] if part.ndim == 2 else part)
    result = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
    return result.astype(dtype, copy=False)


def as_type(values: np.ndarray, dtype) -> np.ndarray:
    """Round and clip values to an integer type, or just cast them."""
    dtype = np.dtype(dtype)
    if dtype.kind in 'ui':
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype)


def check_same_size(results: dict) -> None:
    """Make sure that all images and label maps have one size.

    Raises:
        ValueError: Naming the files and their sizes.
    """
    sizes = [image.shape[:2] for image in results['img']]
    names = list(results.get('img_path', ()))
    names += [f'image {i}' for i in range(len(names), len(sizes))]
    for key in results.get('seg_fields', ()):
        sizes.append(results[key].shape[:2])
        names.append(results.get('seg_map_path', key))
    if len(set(sizes)) > 1:
        found = ', '.join(f'{name} {height} x {width}'
                          for name, (height, width) in zip(names, sizes))
        raise ValueError(f'images and label differ in size: {found}; '
                         'expected one size (height x width)')


class MultiImgTransform(BaseTransform):
    """Base of transforms that treat all images, and the label, alike."""

    def map_images(self, results: dict, function: Callable) -> None:
        """Replace every image by ``function(image)``."""
        results['img'] = [function(image) for image in results['img']]

    def map_labels(self, results: dict, function: Callable) -> None:
        """Replace every label map by ``function(label)``."""
        for key in results.get('seg_fields', ()):
            results[key] = function(results[key])

    def set_shape(self, results: dict) -> None:
        """Note the present size of the images."""
        results['img_shape'] = results['img'][0].shape[:2]


class SensorTransform(BaseTransform):
    """Base of transforms that touch the images of some sensors only.

    Args:
        sensors (Sequence[str]): Which images: ``'optical'``, ``'sar'``.
    """

    def __init__(self, sensors: Sequence[str]) -> None:
        allowed = ('optical', 'sar')
        if isinstance(sensors, str) or not set(sensors) <= set(allowed):
            raise ValueError(f'sensors must be a list of some of {allowed}, '
                             f'found {sensors!r}')
        self.sensors = tuple(sensors)

    def places(self, results: dict) -> list:
        """Positions of the images that are meant."""
        known = results.get('sensors')
        if known is None:
            known = ['optical'] * len(results['img'])
        return [i for i, name in enumerate(known) if name in self.sensors]

    def replace(self,
                results: dict,
                function: Callable,
                places: Optional[Sequence[int]] = None) -> dict:
        """Replace the images that are meant by ``function(image)``."""
        images = list(results['img'])
        for i in self.places(results) if places is None else places:
            images[i] = function(images[i])
        results['img'] = images
        return results


def probability(prob: float, name: str = 'prob') -> float:
    """Check a probability.

    Raises:
        ValueError: If it is outside of 0 to 1.
    """
    if not 0 <= prob <= 1:
        raise ValueError(f'{name} must be from 0 to 1, found {prob}')
    return prob


def ascending(values: Sequence[float], name: str,
              lowest: float = -np.inf) -> tuple:
    """Check a range ``(low, high)``.

    Raises:
        ValueError: If it is none, or starts below ``lowest``.
    """
    values = tuple(values)
    if len(values) != 2 or not lowest <= values[0] <= values[1]:
        raise ValueError(f'{name} must be (low, high) with {lowest} <= low '
                         f'<= high, found {values}')
    return values
