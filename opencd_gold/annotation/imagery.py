r"""Tiles of the images of a pair, at any scale and of any size.

All images lie on the grid of A. Level k has pixels of :math:`2^k` pixels of
the grid, and tiles of 256 x 256 of them.

- Level 0 is read from the file, level 1 from it and averaged.
- Further levels come from overviews: those of the file, where it has some and
  lies on the grid, else from a file of averages beside the annotations,
  made in the background (:mod:`~opencd_gold.annotation.overviews`). Until
  that is done, tiles that would need much of the file come from what was
  averaged so far.
- Limits of a stretch are those of the whole image, from a sample of it.

Each thread reads through files of its own.
"""
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, Hashable, NamedTuple, Optional, Tuple

import cv2
import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from opencd_gold.scenes.grid import Grid, Layer, LayerReader
from opencd_gold.scenes.prepare import PrepareOptions, Scene, SceneLayers

from .errors import AnnotationError, NotFound
from .overviews import FACTOR, Overviews, reduce
from .project import Pair, Project

TILE = 256
MODES = ('percentile', 'decibel', 'minmax')
_TITLES = dict(A='A, before', B='B, after', C='C, after (guide)')
# Windows up to this side are read from the file itself.
_DIRECT = 4096
_SAMPLES = 8
_SAMPLE = 64
_READERS = 12
_CACHE = 64 * 2**20


class Stretch(NamedTuple):
    r"""How values become brightness.

    Attributes:
        mode (str): ``'percentile'``: limits are percentiles of the image;
            ``'decibel'``: percentiles of :math:`10 \log_{10} v`;
            ``'minmax'``: values.
        bands (tuple[int]): One (gray) or three (red, green, blue), from 1.
        low (float, optional): What becomes black. None: of the mode.
        high (float, optional): What becomes white.
    """

    mode: str
    bands: Tuple[int, ...]
    low: Optional[float] = None
    high: Optional[float] = None


class FileState(NamedTuple):
    """What tells a file from an earlier one of its name."""

    path: str
    size: int
    modified: int

    @classmethod
    def of(cls, path) -> 'FileState':
        """The state now.

        Raises:
            NotFound: If there is no such file.
        """
        try:
            found = Path(path).stat()
        except OSError as error:
            raise NotFound(f'{path} cannot be read: {error}') from error
        return cls(str(path), found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class ImageInfo:
    """One image of a pair, on the grid of A.

    Attributes:
        key (str): A, B or C.
        title (str): For people.
        sensor (str): ``'optical'`` or ``'sar'``.
        layer (Layer): Its file.
        own (Grid): Where its pixels are.
        grid (Grid): Of A.
        bands (tuple[int]): All but alpha.
        names (tuple[str]): Of the bands.
        dtype (str): Of the file.
        stretch (Stretch): To begin with.
        has_overviews (bool): Whether the file's own can be used.
        state (FileState): Of the file.
    """

    key: str
    title: str
    sensor: str
    layer: Layer
    own: Grid
    grid: Grid
    bands: Tuple[int, ...]
    names: Tuple[str, ...]
    dtype: str
    stretch: Stretch
    has_overviews: bool
    state: FileState

    def open(self, bands: Optional[Tuple[int, ...]] = None) -> LayerReader:
        """A reader of some bands, to be closed."""
        layer = self.layer._replace(bands=bands or self.bands)
        return LayerReader(layer, self.grid, own=self.own)

    def describe(self) -> dict:
        """What the page has to know."""
        return dict(key=self.key, title=self.title, sensor=self.sensor,
                    bands=len(self.bands), band_names=list(self.names),
                    dtype=self.dtype, stretch=self.stretch._asdict())


@dataclass(frozen=True)
class PairInfo:
    """A pair, opened once.

    Attributes:
        pair (Pair): Its files.
        grid (Grid): Of A.
        by_pixels (bool): Whether files are taken pixel by pixel, as one has
            no CRS.
        images (dict[str, ImageInfo]): By A, B and C.
    """

    pair: Pair
    grid: Grid
    by_pixels: bool
    images: Dict[str, ImageInfo] = field(default_factory=dict)

    @property
    def levels(self) -> int:
        """Levels; the last is one tile."""
        return 1 + max(0, math.ceil(math.log2(max(self.grid.shape) / TILE)))

    @property
    def pixel_area(self) -> float:
        """In square meters, 1 where that is not known."""
        return self.grid.pixel_area() or 1.

    def image(self, key: str) -> ImageInfo:
        """The image of a key.

        Raises:
            NotFound: If the pair has none.
        """
        if key not in self.images:
            raise NotFound(f'{self.pair.name} has no image {key!r}, expected '
                           f'one of {", ".join(self.images)}')
        return self.images[key]

    def describe(self) -> dict:
        """What the page has to know."""
        crs = self.grid.crs
        return dict(
            id=self.pair.id, name=self.pair.name, width=self.grid.width,
            height=self.grid.height, crs=crs.to_string() if crs else None,
            tile_size=TILE, levels=self.levels,
            area_unit='px' if self.grid.pixel_area() is None else 'm2',
            pixel_area=self.pixel_area,
            images=[image.describe() for image in self.images.values()])


def open_pair(pair: Pair, sensors: Dict[str, str]) -> PairInfo:
    """Look at the images of a pair.

    Args:
        pair (Pair): Its files.
        sensors (dict[str, str]): By image, where the user said so. An image
            of one or two bands beside one of three or more counts as SAR
            otherwise.

    Returns:
        PairInfo: Of all images.

    Raises:
        NotFound: If a file is not there.
        SceneError: If one cannot be read, or they do not lie in one place.
    """
    states = {key: FileState.of(path) for key, path in pair.images.items()}
    with SceneLayers(Scene(pair.name, pair.images),
                     PrepareOptions()) as layers:
        images, many = {}, max(len(reader.bands)
                               for reader in layers.readers.values())
        for key, reader in layers.readers.items():
            sensor = sensors.get(key) or (
                'sar' if len(reader.bands) < 3 <= many else 'optical')
            with rasterio.open(reader.layer.path) as source:
                names = tuple(_band_name(source, band)
                              for band in reader.bands)
                # A tenth of the levels may be missing at the top.
                reduced = max(source.shape) / max(
                    source.overviews(1), default=1)
            images[key] = ImageInfo(
                key, _TITLES[key], sensor, reader.layer, reader.own,
                layers.grid, reader.bands, names, str(reader.dtype),
                _first_stretch(reader, sensor),
                reduced <= 4 * TILE and layers.grid.same_as(reader.own),
                states[key])
        by_pixels = any(reader.own.crs is None
                        for reader in layers.readers.values())
        return PairInfo(pair, layers.grid, by_pixels, images)


def _band_name(source, band: int) -> str:
    """Name of a band for people."""
    described = source.descriptions[band - 1]
    meaning = source.colorinterp[band - 1]
    if not described and meaning in (ColorInterp.red, ColorInterp.green,
                                     ColorInterp.blue):
        described = meaning.name
    return described or f'band {band}'


def _first_stretch(reader: LayerReader, sensor: str) -> Stretch:
    """8-bit images as they are; intensities of SAR in decibel."""
    bands = reader.bands[:3 if len(reader.bands) >= 3 else 1]
    if reader.dtype == np.uint8:
        if sensor == 'optical':
            return Stretch('minmax', bands, 0, 255)
    elif sensor == 'sar' and reader.dtype.kind in 'ufc':
        height, width = reader.grid.shape
        side = min(_SAMPLE, height, width)
        pixels, valid = reader.read(
            Window((width - side) // 2, (height - side) // 2, side, side))
        # Negative values are decibel already.
        if not (_real(pixels)[:, valid] < 0).any():
            return Stretch('decibel', bands, 2, 98)
    return Stretch('percentile', bands, 2, 98)


def _real(pixels: np.ndarray) -> np.ndarray:
    """Magnitude of complex pixels, others as they are."""
    return np.abs(pixels) if pixels.dtype.kind == 'c' else pixels


class ByteCache:
    """Values of the last keys that were asked for, up to some bytes.

    Args:
        limit (int): In bytes.
        size_of (Callable): Bytes of a value. Default: ``len``.
    """

    def __init__(self, limit: int, size_of: Callable = len):
        self.limit = limit
        self.size_of = size_of
        self.bytes = 0
        self._values: OrderedDict[Hashable, object] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable):
        """The value, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value) -> None:
        """Keep a value; forget the oldest beyond the limit."""
        with self._lock:
            old = self._values.pop(key, None)
            if old is not None:
                self.bytes -= self.size_of(old)
            self._values[key] = value
            self.bytes += self.size_of(value)
            while self.bytes > self.limit:
                self.bytes -= self.size_of(
                    self._values.popitem(last=False)[1])


class _Readers(threading.local):
    """Open files of one thread."""

    def __init__(self):
        self.known: OrderedDict[Hashable, LayerReader] = OrderedDict()

    def get(self, key: Hashable, make: Callable) -> LayerReader:
        if key not in self.known:
            self.known[key] = make()
            if len(self.known) > _READERS:
                self.known.popitem(last=False)[1].close()
        self.known.move_to_end(key)
        return self.known[key]


class Imagery:
    """Tiles of all pairs of a project.

    Args:
        project (Project): What there is.
        cache_bytes (int): Of tiles that are kept. Default: 64 MiB.

    Attributes:
        overviews (Overviews): That are made in the background.
    """

    def __init__(self, project: Project, cache_bytes: int = _CACHE):
        self.project = project
        self.overviews = Overviews(project.cache)
        self._tiles = ByteCache(cache_bytes)
        self._samples = ByteCache(16 * 2**20, lambda array: array.nbytes)
        self._limits = ByteCache(1024, lambda _: 1)
        self._pairs = ByteCache(256, lambda _: 1)
        self._readers = _Readers()

    def info(self, pair: Pair) -> PairInfo:
        """A pair, looked at again where a file has changed.

        Args:
            pair (Pair): Of the project.

        Returns:
            PairInfo: See :func:`open_pair`, for errors as well.
        """
        for path in pair.images.values():
            self.project.check_inside(path)
        states = tuple(FileState.of(path) for path in pair.images.values())
        found = self._pairs.get(states)
        if found is None:
            found = open_pair(pair, self.project.sensors)
            self._pairs.put(states, found)
        return found

    def prepare(self, info: PairInfo) -> None:
        """Have the overviews of a pair made, where it needs some."""
        for image in info.images.values():
            if self._needs_overviews(image):
                self.overviews.want(image)

    def tile(self, pair: Pair, key: str, level: int, column: int, row: int,
             stretch: Optional[Stretch] = None) -> Tuple[bytes, bool]:
        """One tile as PNG.

        Args:
            pair (Pair): Of the project.
            key (str): A, B or C.
            level (int): From 0, full resolution.
            column (int): Of the tile, from 0.
            row (int): Of the tile.
            stretch (Stretch, optional): Default: None, that of the image.

        Returns:
            tuple[bytes, bool]: RGBA 256 x 256, transparent where there is no
            data; and whether that is final, which it is not while
            overviews are made.

        Raises:
            NotFound: If there is no such image or tile.
            AnnotationError: If the stretch does not fit the image.
            SceneError: If the file cannot be read.
        """
        info = self.info(pair)
        image = info.image(key)
        stretch = self._check(image, stretch or image.stretch)
        scale = 2**level if 0 <= level < info.levels else 0
        height, width = info.grid.shape
        if not (scale and 0 <= column * TILE * scale < width
                and 0 <= row * TILE * scale < height):
            raise NotFound(f'{pair.name} has no tile {level}/{column}/{row}')
        name = (image.state, key, level, column, row, stretch)
        png = self._tiles.get(name)
        if png is not None:
            return png, True
        limits = self.limits(image, stretch)
        pixels, valid, final = self._pixels(image, stretch.bands, level,
                                            column, row)
        png = _encode(_paint(_real(pixels), stretch.mode, limits), valid)
        if final:
            self._tiles.put(name, png)
        return png, final

    @staticmethod
    def _check(image: ImageInfo, stretch: Stretch) -> Stretch:
        """Fill in what was not said, and refuse what cannot be."""
        if stretch.mode not in MODES:
            raise AnnotationError(f'mode {stretch.mode!r}: expected one of '
                                  f'{", ".join(MODES)}')
        if len(stretch.bands) not in (1, 3) or not set(
                stretch.bands) <= set(image.bands):
            raise AnnotationError(
                f'bands {stretch.bands} of {image.key}: expected one or '
                f'three of {image.bands}')
        low, high = stretch.low, stretch.high
        if stretch.mode != 'minmax':
            low = 2. if low is None else low
            high = 98. if high is None else high
            if not 0 <= low < high <= 100:
                raise AnnotationError(f'low {low}, high {high}: expected '
                                      'percentiles, the lower first')
        elif low is not None and high is not None and not low < high:
            raise AnnotationError(f'low {low}, high {high}: expected values, '
                                  'the lower first')
        return stretch._replace(low=low, high=high)

    def limits(self, image: ImageInfo, stretch: Stretch) -> np.ndarray:
        """Values that become black and white.

        Args:
            image (ImageInfo): The image.
            stretch (Stretch): With known percentiles.

        Returns:
            ndarray: ``(bands, 2)``; in decibel for that mode.
        """
        name = (image.state, image.key, stretch)
        found = self._limits.get(name)
        if found is None:
            found = self._measure(image, stretch)
            self._limits.put(name, found)
        return found

    def _measure(self, image: ImageInfo, stretch: Stretch) -> np.ndarray:
        if stretch.mode == 'minmax' and None not in stretch[2:]:
            return np.array([stretch[2:]] * len(stretch.bands), float)
        found = []
        for band in stretch.bands:
            values = self._sample(image, band)
            if stretch.mode == 'decibel':
                values = 10 * np.log10(values[values > 0])
            if not values.size:
                found.append((0., 0.))
            elif stretch.mode == 'minmax':
                found.append((
                    values.min() if stretch.low is None else stretch.low,
                    values.max() if stretch.high is None else stretch.high))
            else:
                found.append(np.percentile(values, stretch[2:]))
        return np.array(found, float)

    def _sample(self, image: ImageInfo, band: int) -> np.ndarray:
        """Valid values of a band, from all over the image."""
        name = (image.state, image.key, band)
        found = self._samples.get(name)
        if found is not None:
            return found
        reader = self._reader(image, (band, ))
        height, width = image.grid.shape
        side = _SAMPLES * _SAMPLE
        parts = []
        if max(height, width) <= 4 * side or image.has_overviews:
            parts.append(reader.read(
                Window(0, 0, width, height),
                (min(side, height), min(side, width))))
        else:
            for top in _spread(height):
                for left in _spread(width):
                    parts.append(reader.read(Window(
                        left, top, min(_SAMPLE, width - left),
                        min(_SAMPLE, height - top))))
        values = np.concatenate([_real(pixels)[0][valid]
                                 for pixels, valid in parts])
        values = values.astype(np.float32, copy=False)
        values = values[np.isfinite(values)]
        self._samples.put(name, values)
        return values

    def _reader(self, image: ImageInfo, bands: Tuple[int, ...]):
        """This thread's reader of an image."""
        return self._readers.get((image.state, image.grid, bands),
                                 lambda: image.open(bands))

    @staticmethod
    def _needs_overviews(image: ImageInfo) -> bool:
        return (not image.has_overviews
                and max(image.grid.shape) > 2 * FACTOR * TILE)

    def _pixels(self, image: ImageInfo, bands: Tuple[int, ...], level: int,
                column: int, row: int):
        """Pixels of a tile, whether they hold data, and are final."""
        scale = 2**level
        left, top = column * TILE * scale, row * TILE * scale
        height, width = image.grid.shape
        window = Window(left, top, min(TILE * scale, width - left),
                        min(TILE * scale, height - top))
        shape = (math.ceil(window.height / scale),
                 math.ceil(window.width / scale))
        small = max(height, width) <= 2 * FACTOR * TILE
        if scale < FACTOR or (small and not image.has_overviews):
            pixels, valid = self._reader(image, bands).read(window)
            return (*reduce(_real(pixels), valid, scale), True)
        if image.has_overviews:
            return (*self._reader(image, bands).read(window, shape), True)
        path = self.overviews.path(image)
        if path is not None:
            reader = self._readers.get(
                (path, bands),
                lambda: LayerReader(Layer(str(path), tuple(
                    1 + image.bands.index(band) for band in bands))))
            small = scale // FACTOR
            place = Window(left // FACTOR, top // FACTOR, shape[1] * small,
                           shape[0] * small)
            return (*reader.read(place, shape), True)
        self.overviews.want(image)
        found = None
        if TILE * scale > _DIRECT:
            found = self.overviews.preview(image, bands, window, shape)
        if found is None:
            found = self._reader(image, bands).read(window, shape)
        return (*found, self.overviews.failed(image))


def _spread(length: int):
    """First pixels of samples along one axis."""
    return np.linspace(0, max(0, length - _SAMPLE), _SAMPLES).astype(int)


def _paint(pixels: np.ndarray, mode: str, limits: np.ndarray) -> np.ndarray:
    """Brightness ``(bands, H, W)`` uint8 of pixels."""
    if mode == 'minmax' and pixels.dtype == np.uint8 and (
            limits == (0, 255)).all():
        return pixels
    shown = np.empty(pixels.shape, np.uint8)
    for band, (low, high), target in zip(pixels, limits, shown):
        values = band
        table = band.dtype == np.uint8
        if table:
            values = np.arange(256)
        values = values.astype(np.float32)
        if mode == 'decibel':
            with np.errstate(divide='ignore', invalid='ignore'):
                values = 10 * np.log10(values)
        if high > low:
            scaled = (values - low) * (255 / (high - low))
        else:
            scaled = np.full(values.shape, 128.)
        # Not finite: what is not positive has no decibel.
        scaled = np.nan_to_num(scaled, nan=0, posinf=255, neginf=0)
        scaled = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        target[:] = scaled[band] if table else scaled
    return shown


def _encode(shown: np.ndarray, valid: np.ndarray) -> bytes:
    """PNG of 256 x 256, transparent beyond the pixels given."""
    height, width = valid.shape
    tile = np.zeros((TILE, TILE, 4), np.uint8)
    # OpenCV wants blue first.
    tile[:height, :width, :3] = shown[::-1].transpose(1, 2, 0)
    tile[:height, :width, 3] = np.uint8(255) * valid
    tile[tile[..., 3] == 0] = 0
    return cv2.imencode('.png', tile,
                        (cv2.IMWRITE_PNG_COMPRESSION, 1))[1].tobytes()
