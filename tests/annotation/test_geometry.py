"""Polygons: brush, eraser, cuts, masks there and back."""
import numpy as np
import pytest
import shapely
from PIL import Image, ImageDraw
from rasterio.windows import Window
from scipy import ndimage

from opencd_gold.annotation import geometry
from opencd_gold.annotation.errors import AnnotationError

SQUARE = [[[0, 0], [10, 0], [10, 10], [0, 10]]]
FRAME = SQUARE + [[[3, 3], [3, 7], [7, 7], [7, 3]]]


def area(polygons):
    return sum(geometry.to_geometry(rings).area for rings in polygons)


def noise(seed, share=0.5, shape=(60, 50), smooth=3):
    rng = np.random.default_rng(seed)
    return ndimage.uniform_filter(rng.random(shape), smooth) > 1 - share


def labelme_mask(points, shape):
    """How labelme fills a polygon (labelme.utils.shape_to_mask)."""
    mask = Image.new('L', shape[::-1], 0)
    ImageDraw.Draw(mask).polygon(
        xy=[tuple(point) for point in points], outline=1, fill=1)
    return np.array(mask, bool)


def border(mask):
    """Pixels that touch one of the other kind."""
    square = np.ones((3, 3))
    return ndimage.binary_dilation(mask, square) & ~ndimage.binary_erosion(
        mask, square, border_value=1)


def test_brush():
    stroke = geometry.brush([[5, 5], [25, 5]], 3)
    assert area(stroke) == pytest.approx(20 * 6 + np.pi * 9, rel=0.02)
    assert area(geometry.brush([[5, 5]], 3)) == pytest.approx(
        np.pi * 9, rel=0.05)
    added = geometry.brush([[10, 5], [20, 5]], 1, SQUARE)
    assert len(added) == 1
    assert area(added) == pytest.approx(100 + 20 + np.pi / 2, rel=0.01)
    assert len(geometry.brush([[50, 50]], 1, SQUARE)) == 2


def test_brush_round_a_place_leaves_a_hole():
    circle = [[50 + 20 * np.cos(angle), 50 + 20 * np.sin(angle)]
              for angle in np.linspace(0, 2 * np.pi, 60)]
    rings, = geometry.brush(circle, 3)
    assert len(rings) == 2
    assert area([rings]) == pytest.approx(np.pi * (23**2 - 17**2), rel=0.02)


def test_erase():
    far = [[[30, 30], [40, 30], [40, 40]]]
    cut, untouched = geometry.erase([[5, -5], [5, 15]], 1, [SQUARE, far])
    assert len(cut) == 2 and area(cut) == pytest.approx(80)
    assert untouched == [far]
    assert geometry.erase([[5, 5]], 20, [SQUARE]) == [[]]


def test_split():
    pieces = geometry.split(FRAME, [[-1, 5], [11, 5]])
    assert [area([piece]) for piece in pieces] == [42, 42]
    with pytest.raises(AnnotationError, match='does not cut'):
        geometry.split(SQUARE, [[-1, 5], [5, 5]])
    with pytest.raises(AnnotationError, match='two points'):
        geometry.split(SQUARE, [[-1, 5]])


def test_merge():
    right = [[[10, 0], [15, 0], [15, 10], [10, 10]]]
    far = [[[30, 30], [40, 30], [40, 40]]]
    merged = geometry.merge([SQUARE, right, far])
    assert [area([rings]) for rings in merged] == [150, 50]


def test_simplify_and_valid():
    steps = [[[0, 0], [5, 0.3], [10, 0], [10, 10], [0, 10]]]
    assert len(geometry.simplify(steps, 0.5)[0][0]) == 4
    assert len(geometry.simplify(steps, 0.1)[0][0]) == 5
    with pytest.raises(AnnotationError, match='tolerance -1'):
        geometry.simplify(steps, -1)
    bow = [[[0, 0], [10, 10], [10, 0], [0, 10]]]
    assert [area([part]) for part in geometry.valid(bow)] == [25, 25]
    assert geometry.valid([[[0, 0], [5, 5], [9, 9]]]) == []


def test_clip():
    assert geometry.clip([SQUARE], 10, 10) == [SQUARE]
    assert area(geometry.clip([SQUARE], 4, 5)) == 20
    assert geometry.clip([[[[-5, -5], [-1, -5], [-1, -1]]]], 4, 5) == []


@pytest.mark.parametrize('rings, error', [
    ([], 'is empty'), ([[[0, 0], [1, 1]]], r'rings\[0\] has 2 points'),
    ([SQUARE[0], [[0, 0], [1, float('nan')], [2, 2]]], r'\[1\] .*finite')])
def test_no_polygon(rings, error):
    with pytest.raises(AnnotationError, match=error):
        geometry.check_rings(rings)


@pytest.mark.parametrize('radius', [0, -1, float('inf')])
def test_no_brush(radius):
    with pytest.raises(AnnotationError, match='radius'):
        geometry.brush([[0, 0]], radius)
    with pytest.raises(AnnotationError, match='path is empty'):
        geometry.brush([], 1)


@pytest.mark.parametrize('seed, share', [(0, 0.5), (1, 0.55), (2, 0.45)])
def test_mask_to_polygons_and_back(seed, share):
    """Exactly, holes and single pixels included."""
    mask = noise(seed, share, smooth=1 if seed == 2 else 3)
    polygons = geometry.polygons_of_array(mask)
    assert any(len(rings) > 1 for rings in polygons)
    assert area(polygons) == mask.sum()
    whole = Window(0, 0, *mask.shape[::-1])
    burnt = geometry.burn(polygons, [1] * len(polygons), whole)
    np.testing.assert_array_equal(burnt, mask)


def test_polygons_to_mask_and_back():
    """Within half a pixel, for outlines that follow no grid."""
    angles = np.arange(40) * np.pi / 20
    turn = np.stack([np.cos(angles), np.sin(angles)], 1)
    rings = [(turn * 40 + 50.3).tolist(), (turn[::-1] * 15 + 48.7).tolist()]
    mask = geometry.burn([rings], [1], Window(0, 0, 100, 100))
    back = shapely.union_all([geometry.to_geometry(found) for found in
                              geometry.polygons_of_array(mask > 0)])
    before = geometry.to_geometry(rings)
    # A pixel is half its diagonal away from its center.
    assert before.boundary.buffer(0.71).covers(back.boundary)
    assert before.symmetric_difference(back).area < 0.5 * before.length


def test_order_and_windows_of_a_mask():
    inner = [[[2, 2], [6, 2], [6, 6], [2, 6]]]
    whole = geometry.burn([SQUARE, inner], [1, 2], Window(0, 0, 12, 12))
    expected = np.zeros((12, 12))
    expected[:10, :10] = 1
    expected[2:6, 2:6] = 2
    np.testing.assert_array_equal(whole, expected)
    part = geometry.burn([SQUARE, inner], [1, 2], Window(4, 3, 5, 6))
    np.testing.assert_array_equal(part, expected[3:9, 4:9])
    assert not geometry.burn([SQUARE], [1], Window(20, 0, 5, 5)).any()


@pytest.mark.parametrize('seed', range(4))
def test_one_outline_for_labelme(seed):
    """As labelme fills it: alike but for pixels on the border."""
    mask = noise(seed, 0.55)
    for rings in geometry.polygons_of_array(mask):
        polygon = geometry.burn([rings], [1], Window(0, 0, 50, 60)) > 0
        points = geometry.keyhole(rings)
        assert points[0] not in points[1:]
        drawn = labelme_mask(points, mask.shape)
        np.testing.assert_array_equal(drawn | border(polygon),
                                      polygon | border(polygon))
        back = geometry.from_outline(points)
        assert area(back) == pytest.approx(polygon.sum(), abs=1e-6)
        np.testing.assert_array_equal(
            geometry.burn(back, [1] * len(back), Window(0, 0, 50, 60)),
            polygon)


def test_outline_of_a_polygon_without_holes():
    assert geometry.keyhole(SQUARE) == SQUARE[0]


def test_cut_runs_to_the_left():
    # From (3, 3), the first of the leftmost points, to the edge x = 0.
    assert geometry.keyhole(FRAME) == [
        [0, 0], [10, 0], [10, 10], [0, 10], [0, 3], [3, 3], [3, 7], [7, 7],
        [7, 3], [3, 3], [0, 3]]
    assert labelme_mask(geometry.keyhole(FRAME), (12, 12)).sum() == (
        11 * 11 - 3 * 3)


def test_holes_beside_one_another():
    holes = [[[x, 3], [x, 6], [x + 2, 6], [x + 2, 3]] for x in (6, 2)]
    rings = [*SQUARE, *holes]
    assert area(geometry.from_outline(geometry.keyhole(rings))) == 88
