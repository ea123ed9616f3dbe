r"""Radar: decibel, scaling, speckle filters, speckle as augmentation.

Speckle multiplies the intensity by noise of mean 1 and variance 1 / looks.
What an image holds is said by ``domain``: ``'intensity'`` (power),
``'amplitude'`` (its root), or ``'decibel'`` (10 log10 of the intensity, or an
8-bit picture of that, each grey level ``db_per_level`` decibels wide).
Nothing here touches optical images.
"""
from typing import Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from opencd_gold.registry import TRANSFORMS

from .base import SensorTransform, as_type, ascending, probability

_DOMAINS = ('intensity', 'amplitude', 'decibel')
_TINY = np.finfo(np.float32).tiny


class _IntensityTransform(SensorTransform):
    """Base of what works on the intensity, whatever an image holds."""

    def __init__(self, domain: str, db_per_level: float,
                 sensors: Sequence[str]) -> None:
        super().__init__(sensors)
        if domain not in _DOMAINS:
            raise ValueError(
                f'domain must be one of {_DOMAINS}, found {domain!r}')
        if db_per_level <= 0:
            raise ValueError(
                f'db_per_level must be above 0, found {db_per_level}')
        self.domain = domain
        self.db_per_level = db_per_level

    def to_intensity(self, image: np.ndarray) -> np.ndarray:
        """Convert to intensity, float64."""
        values = image.astype(np.float64)
        if self.domain == 'amplitude':
            return values**2
        if self.domain == 'decibel':
            return 10**(values * self.db_per_level / 10)
        return values

    def from_intensity(self, values: np.ndarray, dtype) -> np.ndarray:
        """Convert back to what the image held, in its type."""
        values = np.maximum(values, 0)
        if self.domain == 'amplitude':
            values = np.sqrt(values)
        elif self.domain == 'decibel':
            values = 10 * np.log10(np.maximum(
                values, _TINY)) / self.db_per_level
        return as_type(values, dtype)


@TRANSFORMS.register_module()
class SARToDecibel(SensorTransform):
    """Express intensity or amplitude in decibel, as float32.

    ``10 log10(intensity)`` or ``20 log10(amplitude)``.

    Args:
        domain (str): ``'intensity'`` or ``'amplitude'``.
            Default: ``'intensity'``.
        min_db (float): What smaller values, 0 and negative ones become.
            Default: -40.
        max_db (float, optional): What larger values become. Default: None.
        sensors (Sequence[str]): Which images. Default: ``('sar', )``.
    """

    def __init__(self,
                 domain: str = 'intensity',
                 min_db: float = -40,
                 max_db: Optional[float] = None,
                 sensors: Sequence[str] = ('sar', )) -> None:
        super().__init__(sensors)
        if domain not in _DOMAINS[:2]:
            raise ValueError(
                f'domain must be one of {_DOMAINS[:2]}, found {domain!r}')
        if max_db is not None:
            ascending((min_db, max_db), '(min_db, max_db)')
        self.domain = domain
        self.min_db = min_db
        self.max_db = max_db

    def _convert(self, image: np.ndarray) -> np.ndarray:
        """Convert one image."""
        factor = 10 if self.domain == 'intensity' else 20
        values = factor * np.log10(np.maximum(image.astype(np.float32), _TINY))
        return np.clip(values, self.min_db, self.max_db).astype(np.float32)

    def transform(self, results: dict) -> dict:
        """Convert the radar images of one sample."""
        return self.replace(results, self._convert)

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(domain={self.domain!r}, '
                f'min_db={self.min_db}, max_db={self.max_db}, '
                f'sensors={self.sensors})')


@TRANSFORMS.register_module()
class PercentileScale(SensorTransform):
    """Stretch every band between two percentiles, or two given values.

    Values beyond the two are clipped. Pixels without data do not count for
    the percentiles. A band of one value becomes 0.

    Args:
        percentiles (tuple[float, float]): Of each band of each image.
            Default: (2, 98).
        ranges (Sequence[tuple[float, float]], optional): Given values
            instead, one pair for each band, the same for all images.
            Default: None.
        dtype (str): ``'float32'`` (0 to 1) or ``'uint8'`` (0 to 255).
            Default: ``'float32'``.
        sensors (Sequence[str]): Which images. Default: ``('sar', )``.
    """

    def __init__(self,
                 percentiles: Sequence[float] = (2, 98),
                 ranges: Optional[Sequence[Sequence[float]]] = None,
                 dtype: str = 'float32',
                 sensors: Sequence[str] = ('sar', )) -> None:
        super().__init__(sensors)
        self.percentiles = ascending(percentiles, 'percentiles', 0)
        if self.percentiles[1] > 100:
            raise ValueError(
                f'percentiles must be from 0 to 100, found {percentiles}')
        self.ranges = None if ranges is None else tuple(
            ascending(pair, 'ranges') for pair in ranges)
        if dtype not in ('float32', 'uint8'):
            raise ValueError(
                f"dtype must be 'float32' or 'uint8', found {dtype!r}")
        self.dtype = dtype

    def _limits(self, image: np.ndarray,
                missing: Optional[np.ndarray]) -> np.ndarray:
        """Low and high of each band, ``(2, C)``."""
        if self.ranges is not None:
            if len(self.ranges) != image.shape[2]:
                raise ValueError(
                    f'an image has {image.shape[2]} bands, expected '
                    f'{len(self.ranges)}: ranges={self.ranges}')
            return np.array(self.ranges).T
        pixels = image.reshape(-1, image.shape[2])
        if missing is not None and missing.shape == image.shape[:2]:
            pixels = pixels[~missing.ravel()]
        if not len(pixels):
            return np.zeros((2, image.shape[2]))
        return np.percentile(pixels, self.percentiles, axis=0)

    def _scale(self, image: np.ndarray,
               missing: Optional[np.ndarray]) -> np.ndarray:
        """Scale one image."""
        low, high = self._limits(image, missing)
        width = np.where(high > low, high - low, np.inf)
        values = np.clip((image - low) / width, 0, 1)
        top = 255 if self.dtype == 'uint8' else 1
        return as_type(values * top, self.dtype)

    def transform(self, results: dict) -> dict:
        """Scale the radar images of one sample."""
        missing = results.get('nodata_mask')
        return self.replace(results,
                            lambda image: self._scale(image, missing))

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(percentiles={self.percentiles}, '
                f'ranges={self.ranges}, dtype={self.dtype!r}, '
                f'sensors={self.sensors})')


def _weighted(mean: np.ndarray, square: np.ndarray, values: np.ndarray,
              looks: float) -> np.ndarray:
    """Least squares estimate out of local mean, mean square and value."""
    noise = 1 / looks
    spread = np.maximum(square - mean**2, 0)
    signal = np.maximum(spread - noise * mean**2, 0) / (1 + noise)
    weight = signal / np.maximum(spread, _TINY)
    return mean + weight * (values - mean)


class _SpeckleFilter(_IntensityTransform):
    """Base of the filters: band by band, on intensity."""

    def __init__(self, looks: float, domain: str, db_per_level: float,
                 sensors: Sequence[str]) -> None:
        super().__init__(domain, db_per_level, sensors)
        if looks <= 0:
            raise ValueError(f'looks must be above 0, found {looks}')
        self.looks = looks

    def filter_band(self, values: np.ndarray) -> np.ndarray:
        """Filter ``(H, W)`` float64 intensities."""
        raise NotImplementedError

    def _filter(self, image: np.ndarray) -> np.ndarray:
        """Filter one image."""
        values = self.to_intensity(image)
        bands = [
            self.filter_band(np.ascontiguousarray(values[..., i]))
            for i in range(values.shape[2])
        ]
        return self.from_intensity(np.stack(bands, axis=2), image.dtype)

    def transform(self, results: dict) -> dict:
        """Filter the radar images of one sample."""
        return self.replace(results, self._filter)


@TRANSFORMS.register_module()
class LeeFilter(_SpeckleFilter):
    r"""Lee's filter of local statistics.

    .. math::
        \hat{x} = \bar{z} + k (z - \bar{z}), \quad
        k = \frac{(\sigma_z^2 - \bar{z}^2 / L) / (1 + 1 / L)}{\sigma_z^2}

    with the mean and the variance of a window around the pixel, L looks, and
    k not below 0. J.-S. Lee, IEEE PAMI 2 (1980),
    https://doi.org/10.1109/TPAMI.1980.4766994

    Args:
        window (int): Side of the window, odd. Default: 7.
        looks (float): Number of looks. Default: 4.
        domain (str): What the image holds, see the module.
            Default: ``'intensity'``.
        db_per_level (float): Decibel of one unit. Default: 1.
        sensors (Sequence[str]): Which images. Default: ``('sar', )``.
    """

    def __init__(self,
                 window: int = 7,
                 looks: float = 4,
                 domain: str = 'intensity',
                 db_per_level: float = 1.,
                 sensors: Sequence[str] = ('sar', )) -> None:
        super().__init__(looks, domain, db_per_level, sensors)
        if window < 3 or window % 2 == 0:
            raise ValueError(
                f'window must be odd and 3 or more, found {window}')
        self.window = window

    def filter_band(self, values: np.ndarray) -> np.ndarray:
        """Filter ``(H, W)`` float64 intensities."""
        size = (self.window, self.window)
        border = cv2.BORDER_REFLECT_101
        mean = cv2.blur(values, size, borderType=border)
        square = cv2.blur(values**2, size, borderType=border)
        return _weighted(mean, square, values, self.looks)

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(window={self.window}, '
                f'looks={self.looks}, domain={self.domain!r}, '
                f'db_per_level={self.db_per_level}, sensors={self.sensors})')


def _half_windows() -> Tuple[np.ndarray, ...]:
    """Halves of a 7 x 7 window on one side of a line through its centre.

    In the order of the neighbours in :data:`_SIDES`: towards the right,
    the left, the top, the bottom, and the four corners; each holds the line.
    """
    y, x = np.mgrid[-3:4, -3:4]
    halves = (x >= 0, x <= 0, y <= 0, y >= 0, x - y >= 0, y - x >= 0,
              -x - y >= 0, x + y >= 0)
    return tuple(half / half.sum() for half in halves)


# Rows and columns of the neighbouring 3 x 3 blocks that lie across an edge:
# right and left, top and bottom, top right and bottom left, top left and
# bottom right.
_SIDES = ((0, 2), (0, -2), (-2, 0), (2, 0), (-2, 2), (2, -2), (-2, -2),
          (2, 2))


@TRANSFORMS.register_module()
class RefinedLeeFilter(_SpeckleFilter):
    """Lee's filter with windows that do not cross edges.

    Steps, for each pixel of a 7 x 7 window: the means of the 3 x 3 blocks
    around it tell across which of four directions they differ most; of the
    two halves of the window on either side of such an edge, that whose block
    is nearer to the pixel's own block gives the statistics for
    :class:`LeeFilter`'s estimate. J.-S. Lee, Computer Graphics and Image
    Processing 15 (1981), https://doi.org/10.1016/S0146-664X(81)80018-4

    Args:
        looks (float): Number of looks. Default: 4.
        domain (str): What the image holds, see the module.
            Default: ``'intensity'``.
        db_per_level (float): Decibel of one unit. Default: 1.
        sensors (Sequence[str]): Which images. Default: ``('sar', )``.
    """

    def __init__(self,
                 looks: float = 4,
                 domain: str = 'intensity',
                 db_per_level: float = 1.,
                 sensors: Sequence[str] = ('sar', )) -> None:
        super().__init__(looks, domain, db_per_level, sensors)

    def filter_band(self, values: np.ndarray) -> np.ndarray:
        """Filter ``(H, W)`` float64 intensities."""
        border = cv2.BORDER_REFLECT_101
        height, width = values.shape
        block = cv2.blur(values, (3, 3), borderType=border)
        padded = cv2.copyMakeBorder(block, 2, 2, 2, 2, border)
        sides = np.stack([
            padded[2 + dy:2 + dy + height, 2 + dx:2 + dx + width]
            for dy, dx in _SIDES
        ])
        across = np.abs(sides[0::2] - sides[1::2])
        edge = across.argmax(axis=0)
        nearer = np.abs(sides - block).reshape(4, 2, height,
                                               width).argmin(axis=1)
        rows, columns = np.ogrid[:height, :width]
        half = 2 * edge + nearer[edge, rows, columns]
        mean = np.empty_like(values)
        square = np.empty_like(values)
        for i, kernel in enumerate(_half_windows()):
            here = half == i
            if not here.any():
                continue
            for source, target in ((values, mean), (values**2, square)):
                local = cv2.filter2D(source, -1, kernel, borderType=border)
                target[here] = local[here]
        return _weighted(mean, square, values, self.looks)

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(looks={self.looks}, '
                f'domain={self.domain!r}, '
                f'db_per_level={self.db_per_level}, sensors={self.sensors})')


@TRANSFORMS.register_module()
class GammaSpeckle(_IntensityTransform):
    """Add speckle: multiply the intensity by gamma noise of mean 1.

    The noise has variance 1 / looks. On decibel data, also where 8 bits
    picture them, the multiplication is an addition. The type of the image is
    kept.

    Args:
        prob (float): Probability. Default: 0.5.
        looks (float | tuple[float, float]): Number of looks, or the range it
            is drawn from. Default: (4, 16).
        domain (str): What the image holds, see the module.
            Default: ``'intensity'``.
        db_per_level (float): Decibel of one unit. Default: 1.
        sensors (Sequence[str]): Which images. Default: ``('sar', )``.
    """

    def __init__(self,
                 prob: float = 0.5,
                 looks: Union[float, Sequence[float]] = (4, 16),
                 domain: str = 'intensity',
                 db_per_level: float = 1.,
                 sensors: Sequence[str] = ('sar', )) -> None:
        super().__init__(domain, db_per_level, sensors)
        self.prob = probability(prob)
        if isinstance(looks, (int, float)):
            looks = (looks, looks)
        self.looks = ascending(looks, 'looks', _TINY)

    def _speckle(self, image: np.ndarray) -> np.ndarray:
        """Speckle one image."""
        looks = np.random.uniform(*self.looks)
        noise = np.random.gamma(looks, 1 / looks, image.shape)
        if self.domain == 'decibel':
            gain = 10 * np.log10(np.maximum(noise, _TINY))
            return as_type(image + gain / self.db_per_level, image.dtype)
        if self.domain == 'amplitude':
            noise = np.sqrt(noise)
        return as_type(image * noise, image.dtype)

    def transform(self, results: dict) -> dict:
        """Speckle the radar images of one sample, or leave them."""
        if np.random.rand() >= self.prob:
            return results
        return self.replace(results, self._speckle)

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(prob={self.prob}, '
                f'looks={self.looks}, domain={self.domain!r}, '
                f'db_per_level={self.db_per_level}, sensors={self.sensors})')
