r"""Polygons in pixels, masks, and one outline for a polygon with holes.

A polygon is its rings: the outline, then holes, each a list of ``[x, y]``
without repeating the first point. Pixel (row r, column c) covers
:math:`[c, c + 1] \times [r, r + 1]` and is in a polygon if its center is.

labelme knows one outline only. A hole is joined to it by a cut: from its
leftmost point straight to the left, to the first edge. The cut is run through
twice, so that whatever fills by the even-odd rule leaves the hole out.
"""
import math
from collections.abc import Sequence
from typing import List, Optional

import numpy as np
import rasterio
import shapely
from rasterio.features import rasterize
from rasterio.windows import Window
from shapely.ops import split as split_by

from opencd_gold.scenes.vectors import trace

from .errors import AnnotationError

Ring = List[List[float]]
Rings = List[Ring]
# Square pixels; what rounding leaves behind is smaller.
_LEAST_AREA = 1e-3
# The stroke of a brush is a circle to a hundredth of its radius.
_ARCS = 8


def check_rings(rings, where: str = 'rings') -> None:
    """Refuse what is no polygon.

    Args:
        rings (Rings): To be checked.
        where (str): What it is called in the error. Default: ``'rings'``.

    Raises:
        AnnotationError: If there is no ring, one has fewer than 3 points, or
            a coordinate is not finite.
    """
    if not rings:
        raise AnnotationError(f'{where} is empty, expected an outline')
    for index, ring in enumerate(rings):
        if len(ring) < 3:
            raise AnnotationError(f'{where}[{index}] has {len(ring)} points, '
                                  'expected 3 or more')
        if not np.isfinite(np.asarray(ring, float)).all():
            raise AnnotationError(f'{where}[{index}] has coordinates that '
                                  'are not finite')


def to_geometry(rings: Rings):
    """A valid shape of rings.

    Args:
        rings (Rings): Outline and holes, that may cross themselves.

    Returns:
        Polygon | MultiPolygon: What the even-odd rule fills; empty where
        that has no area.
    """
    polygon = shapely.Polygon(rings[0], rings[1:])
    return polygon if polygon.is_valid else areas(
        shapely.make_valid(polygon))


def areas(geometry):
    """What has an area of a shape."""
    parts = [part for part in shapely.get_parts(
        shapely.get_parts(geometry))
        if part.geom_type == 'Polygon' and part.area > _LEAST_AREA]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def to_rings(polygon: shapely.Polygon) -> Rings:
    """Rings of one polygon."""
    return [shapely.get_coordinates(ring)[:-1].tolist()
            for ring in (polygon.exterior, *polygon.interiors)]


def to_polygons(geometry) -> List[Rings]:
    """Rings of every polygon of a shape, the largest first."""
    parts = sorted(shapely.get_parts(areas(geometry)),
                   key=lambda part: -part.area)
    return [to_rings(part) for part in parts]


def _stroke(path: Ring, radius: float):
    """What a round brush covers."""
    if not path:
        raise AnnotationError('path is empty, expected a point or more')
    if not 0 < radius < math.inf:
        raise AnnotationError(f'radius {radius}: expected a positive number')
    line = shapely.Point(path[0]) if len(path) == 1 else (
        shapely.LineString(path))
    # Points of a mouse lie closer than anyone draws.
    return line.simplify(radius / 50).buffer(radius, quad_segs=_ARCS)


def brush(path: Ring, radius: float,
          add_to: Optional[Rings] = None) -> List[Rings]:
    """Paint with a round brush.

    Args:
        path (Ring): Centers, in order.
        radius (float): In pixels.
        add_to (Rings, optional): Polygon that is painted on. Default: None.

    Returns:
        list[Rings]: The union; two where the stroke does not touch it.
    """
    found = _stroke(path, radius)
    if add_to is not None:
        found = found.union(to_geometry(add_to))
    return to_polygons(found.simplify(0.1))


def erase(path: Ring, radius: float,
          polygons: Sequence[Rings]) -> List[List[Rings]]:
    """Take the stroke of a round brush away.

    Args:
        path (Ring): Centers, in order.
        radius (float): In pixels.
        polygons (Sequence[Rings]): To be erased from.

    Returns:
        list[list[Rings]]: What is left of each; one that is not touched
        stays as it is.
    """
    stroke = _stroke(path, radius)
    found = []
    for rings in polygons:
        whole = to_geometry(rings)
        if stroke.intersects(whole):
            found.append(to_polygons(whole.difference(stroke).simplify(0.1)))
        else:
            found.append([rings])
    return found


def split(rings: Rings, line: Ring) -> List[Rings]:
    """Cut a polygon along a line.

    Args:
        rings (Rings): The polygon.
        line (Ring): Two points or more.

    Returns:
        list[Rings]: The pieces.

    Raises:
        AnnotationError: If the line does not run through the polygon.
    """
    if len(line) < 2:
        raise AnnotationError('line: expected two points or more')
    whole = to_geometry(rings)
    pieces = []
    for part in shapely.get_parts(whole):
        pieces += shapely.get_parts(split_by(
            part, shapely.LineString(line))).tolist()
    if len(pieces) == len(shapely.get_parts(whole)):
        raise AnnotationError('the line does not cut the polygon: expected '
                              'one that enters and leaves it')
    return to_polygons(shapely.GeometryCollection(pieces))


def merge(polygons: Sequence[Rings]) -> List[Rings]:
    """Unite polygons; those that do not touch stay apart."""
    return to_polygons(shapely.union_all(
        [to_geometry(rings) for rings in polygons]))


def simplify(rings: Rings, tolerance: float) -> List[Rings]:
    """Leave out vertices that matter less than a tolerance, in pixels."""
    if not 0 <= tolerance < math.inf:
        raise AnnotationError(f'tolerance {tolerance}: expected 0 or a '
                              'positive number')
    return to_polygons(to_geometry(rings).simplify(tolerance))


def valid(rings: Rings) -> List[Rings]:
    """Repair a polygon that crosses itself."""
    return to_polygons(to_geometry(rings))


def clip(polygons: Sequence[Rings], width: float,
         height: float) -> List[Rings]:
    """Cut off what lies beyond an image."""
    frame = shapely.box(0, 0, width, height)
    found = []
    for rings in polygons:
        whole = to_geometry(rings)
        found += [rings] if frame.covers(whole) else to_polygons(
            whole.intersection(frame))
    return found


# masks ---------------------------------------------------------------------


def burn(polygons: Sequence[Rings], values: Sequence[int],
         window: Window) -> np.ndarray:
    """Draw polygons into a window of a mask.

    Args:
        polygons (Sequence[Rings]): In order; later ones lie above.
        values (Sequence[int]): Of each.
        window (Window): Of the mask, in whole pixels.

    Returns:
        ndarray: ``(H, W)`` uint8, 0 where no polygon is.
    """
    left, top = window.col_off, window.row_off
    shape = (window.height, window.width)
    drawn = []
    for rings, value in zip(polygons, values):
        outline = np.asarray(rings[0], float)
        low, high = outline.min(0), outline.max(0)
        if (low < (left + shape[1], top + shape[0])).all() and (
                high > (left, top)).all():
            drawn.append((shapely.Polygon(rings[0], rings[1:]), value))
    if not drawn:
        return np.zeros(shape, np.uint8)
    return rasterize(drawn, shape, dtype='uint8',
                     transform=rasterio.Affine.translation(left, top))


def polygons_of_array(mask: np.ndarray) -> List[Rings]:
    """Polygons along the pixels of a mask.

    Args:
        mask (ndarray): ``(H, W)`` bool.

    Returns:
        list[Rings]: One for each 4-connected region.
    """

    def read(window):
        rows, columns = window.toslices()
        return mask[rows, columns], np.zeros(mask[rows, columns].shape)

    return [rings for region in trace(read, mask.shape)
            for rings in to_polygons(region.outline)]


# one outline ---------------------------------------------------------------


def keyhole(rings: Rings) -> Ring:
    """One outline of a polygon with holes, see the module.

    Args:
        rings (Rings): Outline and holes.

    Returns:
        Ring: The points of labelme.
    """
    points = np.asarray(rings[0], float)
    holes = [np.asarray(ring, float) for ring in rings[1:]]
    # What lies on the left of a hole is joined before it.
    for hole in sorted(holes, key=lambda hole: hole[:, 0].min()):
        hole = np.roll(hole, -hole[:, 0].argmin(), axis=0)
        x, y = hole[0]
        after = np.roll(points, -1, axis=0)
        low = np.minimum(points[:, 1], after[:, 1])
        high = np.maximum(points[:, 1], after[:, 1])
        with np.errstate(divide='ignore', invalid='ignore'):
            share = (y - points[:, 1]) / (after[:, 1] - points[:, 1])
            meets = points[:, 0] + share * (after[:, 0] - points[:, 0])
        meets = np.where(points[:, 1] == after[:, 1],
                         np.maximum(points[:, 0], after[:, 0]), meets)
        meets[(y < low) | (y > high) | (meets > x)] = -np.inf
        edge = int(meets.argmax())
        if not np.isfinite(meets[edge]):
            # Outside of the outline: any cut fills alike.
            cut, before = points[:1], points[:1]
            edge = 0
        else:
            cut = before = np.array([[meets[edge], y]])
        parts = [points[:edge + 1], before, hole, hole[:1], cut,
                 points[edge + 1:]]
        points = np.concatenate(parts)
        same = (points == np.roll(points, 1, axis=0)).all(1)
        points = points[~same]
    if holes:
        # labelme takes a point that is like the first for the end.
        _, inverse, counts = np.unique(
            points, axis=0, return_inverse=True, return_counts=True)
        alone = counts[inverse.ravel()] == 1
        points = np.roll(points, -int(alone.argmax()), axis=0)
    return points.tolist()


def from_outline(points: Ring) -> List[Rings]:
    """Polygons that an outline fills by the even-odd rule.

    Args:
        points (Ring): An outline that may touch and cross itself, as the
            cuts of :func:`keyhole` do.

    Returns:
        list[Rings]: With holes; the largest first.
    """
    whole = shapely.Polygon(points)
    if whole.is_valid:
        return to_polygons(whole)
    # All faces between the lines, of which every other one is filled.
    lines = shapely.union_all(shapely.LineString([*points, points[0]]))
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    inside = _is_inside(
        shapely.get_coordinates(shapely.point_on_surface(faces)),
        np.asarray(points, float))
    return to_polygons(shapely.union_all(faces[inside]))


def _is_inside(places: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether a ray from each place crosses the outline an odd time."""
    x, y = places.T[..., None]
    left, right = points, np.roll(points, -1, axis=0)
    found = np.zeros(len(places), bool)
    for first in range(0, len(places), 256):
        here = slice(first, first + 256)
        crosses = (left[:, 1] > y[here]) != (right[:, 1] > y[here])
        with np.errstate(divide='ignore', invalid='ignore'):
            meets = left[:, 0] + (y[here] - left[:, 1]) * (
                right[:, 0] - left[:, 0]) / (right[:, 1] - left[:, 1])
        found[here] = (crosses & (meets > x[here])).sum(1) % 2 == 1
    return found
