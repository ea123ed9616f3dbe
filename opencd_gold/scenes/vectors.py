"""Polygons of what changed, from a map of any size.

1. The mask is read in windows; in each, 4-connected regions are labeled and
   outlined.
2. Regions of two windows that share an edge of a pixel are one: a union-find
   over the labels at the seams tells which. Their outlines are dissolved.
3. A region that does not reach the row of windows below is finished, and
   written.

So only the regions that touch the present row of windows are in memory.
"""
import math
import os
from pathlib import Path
from typing import (
    Callable,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
)

import numpy as np
import rasterio
import shapely
from rasterio.features import shapes
from rasterio.windows import Window
from scipy import ndimage

from .grid import Grid, SceneError
from .parts import LEVELS, writing

DRIVERS = {'.gpkg': 'GPKG', '.geojson': 'GeoJSON'}
_WINDOW = 2048
_BATCH = 10000


class Region(NamedTuple):
    """A 4-connected region of changed pixels.

    Attributes:
        outline (Polygon): In pixels: x is the column, y the row.
        pixels (int): How many.
        probability (float): Mean, 0 to 1.
    """

    outline: shapely.Polygon
    pixels: int
    probability: float


class _Open:
    """A region that may go on: its pieces and counts."""

    __slots__ = ('pieces', 'pixels', 'levels')

    def __init__(self, piece, pixels: int, levels: float):
        self.pieces, self.pixels, self.levels = [piece], pixels, levels

    def absorb(self, other: '_Open') -> None:
        """Take over what another has."""
        self.pieces += other.pieces
        self.pixels += other.pixels
        self.levels += other.levels

    def close(self) -> Region:
        """Dissolve the pieces."""
        outline = self.pieces[0]
        if len(self.pieces) > 1:
            outline = shapely.union_all(self.pieces)
        return Region(outline, self.pixels,
                      self.levels / self.pixels / LEVELS)


class _Regions:
    """Open regions by label, joined as seams are met."""

    def __init__(self):
        self.open: Dict[int, _Open] = {}
        self._parent: Dict[int, int] = {}
        self._next = 1

    def add(self, mask: np.ndarray, levels: np.ndarray, column: int,
            row: int) -> np.ndarray:
        """Label and outline one window.

        Returns:
            ndarray: Labels ``(H, W)`` int32, 0 where nothing changed.
        """
        labels, found = ndimage.label(mask)
        pixels = np.bincount(labels.ravel(), minlength=found + 1)
        sums = np.bincount(labels.ravel(), levels.ravel(),
                           minlength=found + 1)
        place = rasterio.Affine.translation(column, row)
        for geometry, value in shapes(
                labels.astype(np.int32), mask=mask, transform=place):
            value = int(value)
            self.open[self._next + value - 1] = _Open(
                shapely.geometry.shape(geometry), int(pixels[value]),
                float(sums[value]))
        labels = np.where(labels > 0, labels + (self._next - 1), 0)
        self._next += found
        return labels

    def find(self, label: int) -> int:
        """The label that stands for its region now."""
        root = label
        while root in self._parent:
            root = self._parent[root]
        while label != root:
            self._parent[label], label = root, self._parent[label]
        return root

    def join(self, here: np.ndarray, there: np.ndarray) -> None:
        """Join regions whose pixels face each other across a seam."""
        both = (here > 0) & (there > 0)
        for one, other in np.unique(
                np.stack([here[both], there[both]], 1), axis=0):
            one, other = self.find(int(one)), self.find(int(other))
            if one != other:
                self._parent[other] = one
                self.open[one].absorb(self.open.pop(other))

    def close(self, kept: np.ndarray) -> Iterator[Region]:
        """Close all regions but those whose labels are given."""
        roots = {self.find(int(label)) for label in np.unique(kept[kept > 0])}
        for label in [label for label in self.open if label not in roots]:
            yield self.open.pop(label).close()

    def settle(self, labels: np.ndarray) -> np.ndarray:
        """Rename labels to their regions', and forget all joins."""
        values, inverse = np.unique(labels, return_inverse=True)
        renamed = np.array([self.find(int(value)) for value in values])
        self._parent.clear()
        return renamed[inverse].reshape(labels.shape)


def regions(probability: Path, mask: Path,
            window: int = _WINDOW) -> Iterator[Region]:
    """Regions of a map.

    Args:
        probability (Path): 8-bit GeoTIFF, 0 to 254.
        mask (Path): 8-bit GeoTIFF, changed where 1.
        window (int): Side of the windows, in pixels. Default: 2048.

    Yields:
        Region: Each once, in the order of their lower ends.
    """
    with rasterio.open(probability) as levels, rasterio.open(mask) as source:

        def read(place):
            return source.read(1, window=place) == 1, levels.read(
                1, window=place)

        yield from trace(read, source.shape, window)


def trace(read: Callable, shape: Tuple[int, int],
          window: int = _WINDOW) -> Iterator[Region]:
    """Regions of a map that is read by windows.

    Args:
        read (Callable): From a :class:`rasterio.windows.Window` to what
            changed, ``(H, W)`` bool, and levels of the probability from 0 to
            254, ``(H, W)``; or None, where nothing did.
        shape (tuple[int, int]): Rows and columns of the map.
        window (int): Side of the windows, in pixels. Default: 2048.

    Yields:
        Region: Each once, in the order of their lower ends.
    """
    height, width = shape
    found = _Regions()
    above = np.zeros(width, np.int64)
    for top in range(0, height, window):
        rows = min(window, height - top)
        below = np.zeros(width, np.int64)
        left = None
        for first in range(0, width, window):
            columns = min(window, width - first)
            content = read(Window(first, top, columns, rows))
            if content is None:
                left = None
                continue
            labels = found.add(*content, first, top)
            here = slice(first, first + columns)
            found.join(above[here], labels[0])
            if left is not None:
                found.join(left, labels[:, 0])
            left, below[here] = labels[:, -1], labels[-1]
        last = top + rows == height
        yield from found.close(np.zeros(0, int) if last else below)
        above = found.settle(below)


class Surface:
    """Square meters of outlines on the ellipsoid.

    Vertices are brought to longitude and latitude; the edges between them
    are taken as geodesics. So the area is true whatever the projection.

    Args:
        grid (Grid): Of the map.
    """

    def __init__(self, grid: Grid):
        import pyproj
        self.grid = grid
        self._geod = self._to_degrees = None
        if grid.crs is not None and (grid.crs.is_geographic
                                     or grid.crs.is_projected):
            crs = pyproj.CRS.from_wkt(grid.crs.to_wkt())
            self._geod = crs.get_geod()
            self._to_degrees = pyproj.Transformer.from_crs(
                crs, crs.geodetic_crs, always_xy=True)

    def place(self, outline):
        """An outline in pixels, in coordinates of the map's CRS."""
        matrix = self.grid.transform

        def apply(points):
            x, y = matrix * (points[:, 0], points[:, 1])
            return np.stack([x, y], 1)

        return shapely.transform(outline, apply)

    def area(self, placed) -> Optional[float]:
        """Square meters of a placed outline; None without a CRS."""
        if self._geod is None:
            return None

        def apply(points):
            x, y = self._to_degrees.transform(points[:, 0], points[:, 1])
            return np.stack([x, y], 1)

        degrees = shapely.transform(placed, apply)
        return sum(
            abs(self._ring(polygon.exterior)) - sum(
                abs(self._ring(hole)) for hole in polygon.interiors)
            for polygon in shapely.get_parts(degrees))

    def _ring(self, ring) -> float:
        points = shapely.get_coordinates(ring)
        return self._geod.polygon_area_perimeter(*points.T)[0]


def check_options(min_area: float, simplify: float) -> None:
    """Check the options of :func:`write_polygons`, and that it can work.

    Args:
        min_area (float): In square meters.
        simplify (float): In pixels.

    Raises:
        SceneError: If one is negative or not finite.
        ImportError: Without pyogrio and pyproj.
    """
    import pyogrio  # noqa: F401
    import pyproj  # noqa: F401
    if min_area < 0 or simplify < 0 or not math.isfinite(min_area + simplify):
        raise SceneError(f'min_area {min_area}, simplify {simplify}: '
                         'expected 0 or positive numbers')


def write_polygons(probability: Path,
                   mask: Path,
                   target: Path,
                   min_area: float = 0.,
                   simplify: float = 0.,
                   window: int = _WINDOW) -> int:
    """Write the regions of a map as polygons.

    Fields: ``area_m2``, square meters on the ellipsoid (absent without a
    CRS), ``pixels``, and ``mean_prob``, the mean probability.

    Args:
        probability (Path): 8-bit GeoTIFF of the probability.
        mask (Path): 8-bit GeoTIFF of the mask.
        target (Path): ``.gpkg`` (in the CRS of the map), or ``.geojson`` (in
            longitude and latitude, RFC 7946; all polygons are in memory
            then).
        min_area (float): Smaller regions are left out, in square meters;
            in pixels without a CRS. Default: 0.
        simplify (float): Vertices may move by so many pixels (Douglas and
            Peucker; areas are those before). Default: 0.
        window (int): Side of the windows the map is read in. Default: 2048.

    Returns:
        int: Polygons written.

    Raises:
        SceneError: If the suffix is another, or the file cannot be written;
            it is not there then.
        ImportError: Without pyogrio, shapely and pyproj.
    """
    target = Path(target)
    if target.suffix not in DRIVERS:
        raise SceneError(f'{target}: expected one of the suffixes '
                         f'{", ".join(DRIVERS)}')
    check_options(min_area, simplify)
    with rasterio.open(mask) as source:
        grid = Grid.of(source)
    surface = Surface(grid)
    temporary = target.with_name(
        f'{target.stem}.{os.getpid()}.tmp{target.suffix}')
    batch: List[tuple] = []
    written = 0
    # GeoJSON is written at once: appending would read all of it again.
    limit = _BATCH if target.suffix == '.gpkg' else math.inf
    with writing(target):
        try:
            for region in regions(probability, mask, window):
                placed = surface.place(region.outline)
                area = surface.area(placed)
                if (region.pixels if area is None else area) < min_area:
                    continue
                if simplify:
                    placed = surface.place(region.outline.simplify(simplify))
                batch.append((placed, area, region.pixels,
                              region.probability))
                if len(batch) >= limit:
                    _append(temporary, batch, grid, written > 0)
                    written += len(batch)
                    batch = []
            if batch or not written:
                _append(temporary, batch, grid, written > 0)
            os.replace(temporary, target)
        finally:
            for left in target.parent.glob(f'{temporary.name}*'):
                left.unlink()
    return written + len(batch)


def _append(path: Path, batch: List[tuple], grid: Grid,
            append: bool) -> None:
    """Write polygons, beside those that are there."""
    import pyogrio
    outlines, areas, pixels, means = zip(*batch) if batch else ((), ) * 4
    fields = dict(
        area_m2=np.array(areas, float),
        pixels=np.array(pixels, np.int64),
        mean_prob=np.array(means, float))
    if grid.crs is None:
        del fields['area_m2']
    driver = DRIVERS[path.suffix]
    options = dict(RFC7946='YES') if (
        driver == 'GeoJSON' and grid.crs is not None) else {}
    try:
        pyogrio.raw.write(
            path,
            geometry=np.array(shapely.to_wkb(list(outlines)), object),
            field_data=list(fields.values()),
            fields=list(fields),
            geometry_type='Polygon',
            crs=grid.crs.to_wkt() if grid.crs else None,
            driver=driver,
            layer='change',
            append=append,
            layer_options=options)
    except pyogrio.errors.DataSourceError as error:
        raise OSError(str(error)) from error
