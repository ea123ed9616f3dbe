"""Two rasters on one grid, read by windows.

The grid is that of the first image. A second image on the same grid is read
as it is; any other is reprojected and resampled while it is read (GDAL's
warped virtual raster), window by window.
"""
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

RESAMPLINGS = ('nearest', 'bilinear', 'cubic', 'average', 'lanczos')
NONFINITE = ('error', 'nodata')
# Grids that differ by less than this part of a pixel are the same.
_SAME = 0.01


class SceneError(ValueError):
    """Scenes that do not fit together, or cannot be read or written."""


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a scene are.

    Attributes:
        height (int): Rows.
        width (int): Columns.
        transform (Affine): From column and row to coordinates.
        crs (CRS, optional): Of the coordinates. None where files without
            one are taken as they are.
    """

    height: int
    width: int
    transform: rasterio.Affine
    crs: Optional[rasterio.crs.CRS]

    @classmethod
    def of(cls, source) -> 'Grid':
        """The grid of an open raster."""
        return cls(source.height, source.width, source.transform, source.crs)

    @property
    def shape(self) -> Tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    def same_as(self, other: 'Grid') -> bool:
        """Whether pixels of both are at the same places."""
        if self.shape != other.shape or self.crs != other.crs:
            return False
        corners = [(0, 0), (self.width, 0), (0, self.height)]
        back = ~self.transform
        return all(
            abs(here - there) < _SAME for corner in corners
            for here, there in zip(corner, back * (other.transform * corner)))

    def pixel_area(self) -> Optional[float]:
        """Square meters of a pixel, None where the CRS is not projected."""
        if self.crs is None or not self.crs.is_projected:
            return None
        return abs(self.transform.determinant) * (
            self.crs.linear_units_factor[1]**2)


class Layer(NamedTuple):
    """How one raster is read.

    Attributes:
        path (str): The file.
        bands (tuple[int], optional): Which, from 1. Default: None, all but
            alpha.
        limits (tuple[float, float], optional): Values that become 0 and 255,
            as 8 bit; values beyond are clipped. Default: None, as it is.
        resampling (str): Where the grids differ. Default: ``'bilinear'``.
        has_nodata (bool): Whether the file's nodata value counts. False for
            label maps, where 0 often is both unchanged and nodata.
            Default: True.
    """

    path: str
    bands: Optional[Tuple[int, ...]] = None
    limits: Optional[Tuple[float, float]] = None
    resampling: str = 'bilinear'
    has_nodata: bool = True


@contextmanager
def _reading(path: str, what: str = '') -> Iterator[None]:
    """Name the file in whatever goes wrong with it."""
    try:
        yield
    except RasterioError as error:
        reason = str(error.__cause__ or error).strip() or 'damaged file'
        raise SceneError(
            f'{path} cannot be read{what}: {reason}; expected a complete '
            'raster. Was the copy cut off?') from error


class LayerReader:
    """One raster on a grid.

    Args:
        layer (Layer): The raster.
        grid (Grid, optional): To read it on. Default: None, its own.
        expected (int, optional): Bands that are wanted: where the file has
            as many, one that calls itself alpha is among them, as GDAL
            marks the fourth band of any 8-bit file. Default: None.
        own (Grid, optional): Where its pixels are, for a file that does not
            say it. Default: None, what it says.

    Attributes:
        grid (Grid): It is read on.
        bands (tuple[int]): That are read.
        dtype (dtype): Of the pixels read.

    Raises:
        SceneError: If it cannot be opened or has not the bands asked for.
    """

    def __init__(self, layer: Layer, grid: Optional[Grid] = None,
                 expected: Optional[int] = None,
                 own: Optional[Grid] = None):
        self.layer = layer
        self._stack = ExitStack()
        with _reading(layer.path):
            source = self._stack.enter_context(rasterio.open(layer.path))
        self.own = own or Grid.of(source)
        self.grid = grid or self.own
        optical = [index for index, meaning in zip(source.indexes,
                                                   source.colorinterp)
                   if meaning != ColorInterp.alpha]
        if source.count == expected:
            optical = list(source.indexes)
        self.bands = layer.bands or tuple(optical)
        if not set(self.bands) <= set(source.indexes):
            raise SceneError(f'{layer.path} has {source.count} bands, '
                             f'expected those asked for: {self.bands}')
        self.dtype = np.dtype(source.dtypes[self.bands[0] - 1])
        nodata = [source.nodatavals[band - 1] if layer.has_nodata else None
                  for band in self.bands]
        has_alpha = len(optical) < source.count
        moved = not self.grid.same_as(self.own)
        add_alpha = moved and not has_alpha and nodata[0] is None
        if moved:
            unmarked = {} if layer.has_nodata else dict(
                src_nodata=None, nodata=None)
            with _reading(layer.path):
                source = self._stack.enter_context(
                    WarpedVRT(
                        source,
                        src_crs=self.own.crs,
                        src_transform=self.own.transform,
                        crs=self.grid.crs,
                        transform=self.grid.transform,
                        width=self.grid.width,
                        height=self.grid.height,
                        resampling=Resampling[layer.resampling],
                        add_alpha=add_alpha,
                        warp_mem_limit=64,
                        **unmarked))
        self._source = source
        # As a mask GDAL takes alpha of whole numbers only.
        self._alpha = source.count if add_alpha else None
        self._nodata = nodata if nodata[0] is not None else None
        flags = source.mask_flag_enums[self.bands[0] - 1]
        if self._nodata is not None or MaskFlags.all_valid in flags:
            self._masked = False
        elif MaskFlags.nodata in flags:
            self._masked = layer.has_nodata
        else:
            # A band that is read as one is no mask.
            self._masked = (moved or len(optical) < source.count
                            or MaskFlags.alpha not in flags)

    def read(self, window: Window,
             shape: Optional[Tuple[int, int]] = None
             ) -> Tuple[np.ndarray, np.ndarray]:
        """Pixels of a window within the grid.

        Args:
            window (Window): In pixels of the grid.
            shape (tuple[int, int], optional): Rows and columns to read it
                in, from overviews where there are some. Default: None, those
                of the window.

        Returns:
            tuple[ndarray, ndarray]: Pixels ``(C, H, W)`` and ``(H, W)``
            whether they hold data. A pixel is nodata where all its bands
            are, or where a mask or alpha band says so.

        Raises:
            SceneError: If the file is cut off there.
        """
        rows, columns = window.toranges()
        where = (f' at rows {rows[0]} to {rows[1]}, columns {columns[0]} to '
                 f'{columns[1]}')
        with _reading(self.layer.path, where):
            return self._read(shape, window)

    def read_small(self, shape: Tuple[int, int]
                   ) -> Tuple[np.ndarray, np.ndarray]:
        """All of the grid in fewer pixels, from overviews where it has some.

        Args:
            shape (tuple[int, int]): Rows and columns.

        Returns:
            tuple[ndarray, ndarray]: As :meth:`read`.

        Raises:
            SceneError: If the file is cut off.
        """
        with _reading(self.layer.path):
            return self._read(out_shape=shape)

    def _read(self, out_shape=None, window=None):
        """Read pixels and their validity."""
        shape = None if out_shape is None else (len(self.bands), *out_shape)
        pixels = self._source.read(
            self.bands, out_shape=shape, window=window)
        if self._alpha is not None:
            valid = self._source.read(
                self._alpha, out_shape=out_shape, window=window) > 0
        elif self._masked:
            valid = self._source.read_masks(
                self.bands[0], out_shape=out_shape, window=window) > 0
        else:
            valid = np.ones(pixels.shape[1:], bool)
        if self._nodata is not None:
            missing = [
                np.isnan(band) if np.isnan(value) else band == value
                for band, value in zip(pixels, self._nodata)
            ]
            valid = ~np.logical_and.reduce(missing)
        return pixels, valid

    def scale(self, pixels: np.ndarray) -> np.ndarray:
        """Apply the layer's limits, if it has some."""
        if self.layer.limits is None:
            return pixels
        low, high = self.layer.limits
        scaled = (pixels.astype(np.float32) - low) * (255 / (high - low))
        return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)

    def probe(self) -> None:
        """Read the corners, so that a file cut off is found early.

        Raises:
            SceneError: If one of them cannot be read.
        """
        height, width = self.own.shape
        with rasterio.open(self.layer.path) as source:
            for row in (0, height - 1):
                for column in (0, width - 1):
                    with _reading(self.layer.path,
                                  f' at row {row}, column {column}'):
                        source.read(
                            self.bands, window=Window(column, row, 1, 1))

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def __enter__(self) -> 'LayerReader':
        return self

    def __exit__(self, *error) -> None:
        self.close()


def common_crs(readers: Sequence[LayerReader]) -> None:
    """Check that rasters can be put on the grid of the first.

    Args:
        readers (Sequence[LayerReader]): Two or more.

    Raises:
        SceneError: If one has no CRS, or lies elsewhere than the first.
    """
    first = readers[0]
    for reader in readers:
        if reader.own.crs is None:
            raise SceneError(
                f'{reader.layer.path} has no CRS, expected georeferenced '
                'rasters. Where all have the same grid of pixels, '
                '--assume-same-grid takes them as they are')
    bounds = rasterio.transform.array_bounds(*first.own.shape,
                                             first.own.transform)
    for other in readers[1:]:
        found = rasterio.transform.array_bounds(*other.own.shape,
                                                other.own.transform)
        try:
            there = transform_bounds(other.own.crs, first.own.crs, *found)
        except RasterioError:
            there = (np.inf, ) * 4
        if not (np.isfinite(there).all() and there[0] < bounds[2]
                and bounds[0] < there[2] and there[1] < bounds[3]
                and bounds[1] < there[3]):
            raise SceneError(
                f'{other.layer.path} and {first.layer.path} do not overlap: '
                f'found the extents {_words(there)} and {_words(bounds)} '
                f'(west, south, east, north in {first.own.crs})')


def _words(bounds) -> str:
    return ', '.join(f'{value:.8g}' for value in bounds)


@dataclass(frozen=True)
class ScenePair:
    """Two rasters of one place.

    Attributes:
        first (Layer): Of the first date; its grid is that of the maps.
        second (Layer): Of the second date.
        nonfinite (str): ``'error'``, or ``'nodata'`` to take NaN and
            infinite values, where the file does not declare them as nodata,
            for that. Default: ``'error'``.
        assume_same_grid (bool): Take files without CRS, of the same size,
            pixel by pixel. Default: False.
        fill (float): Pixels without data, as the network gets them.
            Default: 0, as in training.
    """

    first: Layer
    second: Layer
    nonfinite: str = 'error'
    assume_same_grid: bool = False
    fill: float = 0

    def __post_init__(self):
        for layer in (self.first, self.second):
            if layer.resampling not in RESAMPLINGS:
                raise SceneError(f'resampling {layer.resampling!r}: expected '
                                 f'one of {", ".join(RESAMPLINGS)}')
            if layer.limits and not layer.limits[0] < layer.limits[1]:
                raise SceneError(f'limits {layer.limits} of {layer.path}: '
                                 'expected a lower and a higher value')
        if self.nonfinite not in NONFINITE:
            raise SceneError(f'nonfinite {self.nonfinite!r}: expected one of '
                             f'{", ".join(NONFINITE)}')

    @classmethod
    def of(cls, first: Union[str, Path], second: Union[str, Path],
           bands: Sequence = (None, None), limits: Sequence = (None, None),
           resampling: str = 'bilinear', **options) -> 'ScenePair':
        """From two paths.

        Args:
            first (str | Path): Of the first date.
            second (str | Path): Of the second date.
            bands (Sequence): ``Layer.bands`` of each.
            limits (Sequence): ``Layer.limits`` of each.
            resampling (str): Of the second. Default: ``'bilinear'``.
            options: Further attributes.

        Returns:
            ScenePair: The pair.
        """
        layers = [
            Layer(str(path), *(tuple(value) if value else None
                               for value in (which, low_high)), resampling)
            for path, which, low_high in zip((first, second), bands, limits)
        ]
        return cls(*layers, **options)

    def open(self, channels: Optional[Sequence[int]] = None) -> 'PairReader':
        """Open both, to be closed by ``with``.

        Args:
            channels (Sequence[int], optional): Bands that each must have.
                Default: None, any.

        Returns:
            PairReader: Reads windows of both.

        Raises:
            SceneError: If one cannot be read or has other bands, they do not
                overlap, or one has no CRS.
        """
        return PairReader(self, channels)


class PairReader:
    """Windows of a pair.

    Args:
        pair (ScenePair): The two rasters.
        channels (Sequence[int], optional): Bands that each must have.
            Default: None, any.

    Attributes:
        grid (Grid): Of the first.
        bands (tuple[int, int]): How many each has.
    """

    def __init__(self, pair: ScenePair,
                 channels: Optional[Sequence[int]] = None):
        self.pair = pair
        self._stack = ExitStack()
        try:
            self._open(pair, channels or (None, None))
            if channels is not None:
                self._check_bands(channels)
        except BaseException:
            self._stack.close()
            raise

    def _open(self, pair: ScenePair, channels: Sequence) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', NotGeoreferencedWarning)
            first = self._enter(
                LayerReader(pair.first, None, channels[0]))
            if pair.assume_same_grid:
                second = self._enter(
                    LayerReader(pair.second, None, channels[1]))
                if second.own.shape != first.own.shape:
                    raise SceneError(
                        f'{pair.second.path} has {second.own.height} x '
                        f'{second.own.width} pixels, expected '
                        f'{first.own.height} x {first.own.width} as '
                        f'{pair.first.path} (assume_same_grid)')
            else:
                with LayerReader(pair.second) as own:
                    common_crs([first, own])
                second = self._enter(
                    LayerReader(pair.second, first.grid, channels[1]))
        self._readers = (first, second)
        self.grid = first.grid
        self.bands = tuple(len(reader.bands) for reader in self._readers)

    def _enter(self, reader: LayerReader) -> LayerReader:
        return self._stack.enter_context(reader)

    def read(self, window: Window) -> Tuple[np.ndarray, np.ndarray]:
        """Pixels of both dates.

        Args:
            window (Window): Within the grid.

        Returns:
            tuple[ndarray, ndarray]: ``(C_from + C_to, H, W)``, float32
            unless both are of the same type, and ``(H, W)`` whether both
            hold data.

        Raises:
            SceneError: If a file is cut off there, or holds NaN or infinite
                values that are not to be taken for nodata.
        """
        images, valid = [], None
        for reader in self._readers:
            pixels, present = reader.read(window)
            if pixels.dtype.kind == 'f':
                present = self._check_finite(reader, pixels, present, window)
            images.append(reader.scale(pixels))
            valid = present if valid is None else valid & present
        dtype = images[0].dtype
        if images[1].dtype != dtype or dtype != np.uint8:
            dtype = np.float32
        stacked = np.concatenate(
            [image.astype(dtype, copy=False) for image in images])
        if not valid.all():
            stacked[:, ~valid] = self.pair.fill
        return stacked, valid

    def _check_finite(self, reader, pixels, present, window):
        """Mark what is not finite as nodata, or refuse it."""
        finite = np.isfinite(pixels).all(0)
        odd = present & ~finite
        if self.pair.nonfinite == 'error' and odd.any():
            row, column = np.argwhere(odd)[0]
            raise SceneError(
                f'{reader.layer.path} has NaN or infinite values in '
                f'{odd.sum()} pixels that it does not declare as nodata, '
                f'first at row {row + window.row_off}, column '
                f'{column + window.col_off}; expected finite values. '
                '--nonfinite nodata takes them for nodata')
        return present & finite

    def probe(self) -> None:
        """Read the corners of both files, see :meth:`LayerReader.probe`."""
        for reader in self._readers:
            reader.probe()

    def _check_bands(self, expected: Sequence[int]) -> None:
        """Compare the number of bands with what a model wants."""
        for reader, bands, option in zip(self._readers, expected,
                                         ('--bands-from', '--bands-to')):
            if len(reader.bands) != bands:
                raise SceneError(
                    f'{reader.layer.path} has {len(reader.bands)} bands, '
                    f'expected {bands} as the model. {option} chooses some')

    def close(self) -> None:
        """Close both files."""
        self._stack.close()

    def __enter__(self) -> 'PairReader':
        return self

    def __exit__(self, *error) -> None:
        self.close()
