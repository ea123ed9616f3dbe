"""Annotations as label maps and vector files, and the way back.

A label map lies on the grid of A. With one class it is 0 and 255, as in the
package's layouts, else the number of each class, from 1. Vector files carry
the CRS of A.
"""
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

import numpy as np
import rasterio
import shapely
from rasterio.windows import Window

from opencd_gold.scenes.grid import Grid, Layer, LayerReader
from opencd_gold.scenes.vectors import DRIVERS, Surface, trace

from .errors import AnnotationError
from .geometry import burn, to_geometry, to_polygons, to_rings
from .labelme import Shape

RASTERS = ('.png', '.tif')
_WINDOW = 1024
_IGNORED = 255


class Values(NamedTuple):
    """What the classes are in a label map.

    Attributes:
        by_label (dict[str, int]): Value of each class.
    """

    by_label: Dict[str, int]

    @classmethod
    def of(cls, classes: Sequence[str]) -> 'Values':
        """255 for one class, else 1 and up.

        Raises:
            AnnotationError: If there are too many.
        """
        if len(classes) == 1:
            return cls({classes[0]: 255})
        if len(classes) >= _IGNORED:
            raise AnnotationError(f'{len(classes)} classes, expected at most '
                                  f'{_IGNORED - 1}')
        return cls({label: index for index, label in enumerate(classes, 1)})

    def of_shapes(self, shapes: Sequence[Shape], where: Path) -> List[int]:
        """Value of each shape.

        Raises:
            AnnotationError: If one is of another class.
        """
        for shape in shapes:
            if shape.label not in self.by_label:
                raise AnnotationError(
                    f'{where} has a shape of the class {shape.label!r}, '
                    f'expected one of {", ".join(self.by_label)}; --classes '
                    'names others')
        return [self.by_label[shape.label] for shape in shapes]


def write_mask(shapes: Sequence[Shape], values: Sequence[int], grid: Grid,
               path: Path) -> None:
    """Write a label map.

    Args:
        shapes (Sequence[Shape]): In order; later ones lie above.
        values (Sequence[int]): Of each.
        grid (Grid): Of A.
        path (Path): ``.png``, or ``.tif``, which is written by windows and
            carries the georeference.
    """
    polygons = [shape.rings for shape in shapes]
    if path.suffix == '.png':
        import cv2
        mask = burn(polygons, values, Window(0, 0, grid.width, grid.height))
        path.write_bytes(cv2.imencode('.png', mask)[1].tobytes())
        return
    place = dict(crs=grid.crs, transform=grid.transform) if grid.crs else {}
    with rasterio.open(
            path, 'w', driver='GTiff', count=1, height=grid.height,
            width=grid.width, dtype='uint8', tiled=True, blockxsize=256,
            blockysize=256, compress='deflate', bigtiff='if_safer',
            **place) as target:
        for row in range(0, grid.height, _WINDOW):
            for column in range(0, grid.width, _WINDOW):
                window = Window(column, row,
                                min(_WINDOW, grid.width - column),
                                min(_WINDOW, grid.height - row))
                target.write(burn(polygons, values, window), 1,
                             window=window)


def read_mask(path: Path, classes: Sequence[str], grid: Optional[Grid] = None,
              min_area: float = 0., simplify: float = 0.,
              ignore_255: bool = False) -> List[Shape]:
    """Polygons of a label map.

    Args:
        path (Path): One band: 0 and 255 or 0 and 1 for one class, else
            numbers of classes.
        classes (Sequence[str]): Their names.
        grid (Grid, optional): Of A, that a map with another georeference is
            put on. Default: None, its own.
        min_area (float): Smaller regions are left out, in pixels.
            Default: 0.
        simplify (float): How far vertices may move, in pixels. Default: 0.
        ignore_255 (bool): Whether 255 is no class, but unknown.
            Default: False.

    Returns:
        list[Shape]: One for each 4-connected region of a class.

    Raises:
        AnnotationError: If the map has another size, or other values.
        SceneError: If it cannot be read.
    """
    with _label_reader(path, grid) as reader:
        found = _values_of(reader)
        expected = set(range(1, len(classes) + 1))
        if ignore_255:
            found.discard(_IGNORED)
        if len(classes) == 1 and found == {255}:
            expected = {255}
        if not found <= expected:
            raise AnnotationError(
                f'{path} has the values {sorted(found | {0})}, expected 0 '
                f'and {", ".join(map(str, sorted(expected)))}'
                + (' (or 255)' if len(classes) == 1 else '')
                + ': one for each of --classes; --ignore-255 takes 255 for '
                'unknown')
        shapes = []
        for value, label in zip(sorted(expected), classes):
            if value not in found:
                continue
            for region in trace(_equals(reader, value), reader.grid.shape,
                                _WINDOW):
                if region.pixels >= min_area:
                    shapes += _shapes_of(region.outline, label, simplify)
    return _numbered(shapes)


def _values_of(reader: LayerReader) -> set:
    """Values of a label map but 0."""
    found = set()
    height, width = reader.grid.shape
    for row in range(0, height, _WINDOW):
        for column in range(0, width, _WINDOW):
            pixels, valid = reader.read(Window(
                column, row, min(_WINDOW, width - column),
                min(_WINDOW, height - row)))
            found |= set(np.unique(pixels[0][valid]).tolist())
    return found - {0}


def _equals(reader: LayerReader, value: int) -> Callable:
    """Where a label map has a value, for ``trace``."""

    def read(window):
        pixels, valid = reader.read(window)
        same = (pixels[0] == value) & valid
        return (same, np.zeros(same.shape)) if same.any() else None

    return read


@contextmanager
def _label_reader(path: Path, grid: Optional[Grid]) -> Iterator[LayerReader]:
    """A label map on the grid of A."""
    layer = Layer(str(path), (1, ), None, 'nearest', has_nodata=False)
    with LayerReader(layer) as own:
        place = own.own
    if grid is None:
        grid = place
    elif place.crs is None or grid.crs is None:
        if place.shape != grid.shape:
            raise AnnotationError(
                f'{path} has {place.height} x {place.width} pixels, expected '
                f'{grid.height} x {grid.width} as its image')
        place = grid
    with LayerReader(layer, grid, own=place) as reader:
        yield reader


def _shapes_of(outline, label: str, simplify: float,
               **others) -> List[Shape]:
    if simplify:
        outline = outline.simplify(simplify)
    return [Shape(label, rings, **others) for rings in to_polygons(outline)]


def _numbered(shapes: List[Shape]) -> List[Shape]:
    for index, shape in enumerate(shapes, 1):
        shape.id = f'shape-{index}'
    return shapes


def write_vectors(shapes: Sequence[Shape], grid: Grid, path: Path) -> None:
    """Write polygons with the CRS of A.

    Fields: ``id``, ``label``, ``source``, ``probability`` (absent where a
    person drew) and ``area_m2``, square meters on the ellipsoid.

    Args:
        shapes (Sequence[Shape]): To be written.
        grid (Grid): Of A.
        path (Path): ``.gpkg`` (in the CRS of A) or ``.geojson`` (in
            longitude and latitude, RFC 7946).

    Raises:
        AnnotationError: If A has no CRS, or the file cannot be written.
    """
    import pyogrio
    if grid.crs is None:
        raise AnnotationError(f'{path}: its image has no CRS, expected a '
                              'georeferenced one for vector files')
    surface = Surface(grid)
    # Holes run the other way round, whoever drew them.
    placed = [shapely.orient_polygons(surface.place(part))
              for part in (to_geometry(shape.rings) for shape in shapes)]
    columns = dict(
        id=np.array([shape.id for shape in shapes], object),
        label=np.array([shape.label for shape in shapes], object),
        source=np.array([shape.source for shape in shapes], object),
        probability=np.array([
            np.nan if shape.probability is None else shape.probability
            for shape in shapes], float),
        area_m2=np.array([surface.area(part) or 0. for part in placed],
                         float))
    driver = DRIVERS[path.suffix]
    try:
        pyogrio.raw.write(
            path,
            geometry=np.array(shapely.to_wkb(placed), object),
            field_data=list(columns.values()),
            fields=list(columns),
            geometry_type='Polygon' if all(
                part.geom_type == 'Polygon' for part in placed)
            else 'Unknown',
            crs=grid.crs.to_wkt(), driver=driver, layer='change',
            layer_options=dict(RFC7946='YES') if driver == 'GeoJSON' else {})
    except pyogrio.errors.DataSourceError as error:
        raise AnnotationError(f'{path} cannot be written: {error}'
                              ) from error


def read_vectors(path: Path, classes: Sequence[str],
                 grid: Grid) -> List[Shape]:
    """Polygons of a vector file, in pixels of A.

    Args:
        path (Path): ``.gpkg``, ``.geojson``, or what else GDAL knows.
        classes (Sequence[str]): Where the field ``label`` is absent, all
            are of the first.
        grid (Grid): Of A.

    Returns:
        list[Shape]: What lies on the grid; a multipolygon becomes several.

    Raises:
        AnnotationError: If the file cannot be read, has no CRS, or a class
            is none of ``classes``.
    """
    import pyogrio
    import pyproj
    if grid.crs is None:
        raise AnnotationError(f'{path}: its image has no CRS, expected a '
                              'georeferenced one for vector files')
    try:
        meta, _, geometry, fields = pyogrio.raw.read(path)
    except (pyogrio.errors.DataSourceError,
            pyogrio.errors.DataLayerError) as error:
        raise AnnotationError(f'{path} cannot be read: {error}') from error
    if meta['crs'] is None:
        raise AnnotationError(f'{path} has no CRS, expected one')
    columns = dict(zip(meta['fields'], fields))
    turn = pyproj.Transformer.from_crs(
        pyproj.CRS(meta['crs']), pyproj.CRS.from_wkt(grid.crs.to_wkt()),
        always_xy=True)
    back = ~grid.transform
    frame = shapely.box(0, 0, grid.width, grid.height)

    def place(points):
        x, y = back * turn.transform(points[:, 0], points[:, 1])
        return np.stack([x, y], 1)

    shapes = []
    for index, outline in enumerate(shapely.from_wkb(geometry)):
        if outline is None or outline.geom_type not in (
                'Polygon', 'MultiPolygon'):
            continue
        label = str(columns['label'][index]) if (
            'label' in columns) else classes[0]
        if label not in classes:
            raise AnnotationError(
                f'{path} has a polygon of the class {label!r}, expected one '
                f'of {", ".join(classes)}; --classes names others')
        probability = _number(columns, 'probability', index)
        source = columns['source'][index] if 'source' in columns else None
        for part in shapely.get_parts(shapely.transform(outline, place)):
            whole = to_geometry(to_rings(part))
            if not frame.covers(whole):
                whole = whole.intersection(frame)
            shapes += _shapes_of(
                whole, label, 0,
                source='model' if source == 'model' else 'person',
                probability=probability)
    return _numbered(shapes)


def _number(columns: Dict[str, np.ndarray], name: str,
            index: int) -> Optional[float]:
    """A field that may be absent, or hold no number."""
    value = columns[name][index] if name in columns else None
    if value is None or np.isnan(float(value)):
        return None
    return float(value)
