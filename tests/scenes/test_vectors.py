"""Polygons of maps: whole across seams, areas, means, files."""
import json

import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import shapely
from rasterio.features import rasterize, shapes
from rasterio.transform import from_origin
from scenes.conftest import UTM, write
from scipy import ndimage

from opencd_gold.scenes.grid import Grid, SceneError
from opencd_gold.scenes.vectors import Surface, regions, write_polygons


def write_map(folder, mask, levels=None, **options):
    """A mask and a probability; 200 where not told otherwise."""
    mask = np.asarray(mask, np.uint8)
    if levels is None:
        levels = np.full(mask.shape, 200, np.uint8)
    return (write(folder / 'p.tif', levels, nodata=255, **options),
            write(folder / 'm.tif', mask, nodata=255, **options))


def outlines(mask):
    """Outlines of the whole mask at once, as a set of their areas."""
    found = shapes(mask.astype(np.uint8), mask=mask.astype(bool))
    return [shapely.geometry.shape(geometry) for geometry, _ in found]


@pytest.fixture(params=[0.3, 0.6, 0.95])
def mask(request):
    """Noise, smoothed now and then, with nodata."""
    rng = np.random.default_rng(int(100 * request.param))
    mask = (rng.random((70, 61)) < request.param).astype(np.uint8)
    mask[:30] = ndimage.uniform_filter(rng.random((30, 61)), 5) > 0.5
    mask[40:43, 20:30] = 255
    return mask


@pytest.mark.parametrize('window', [7, 16, 64, 200])
def test_windows_change_nothing(mask, tmp_path, window):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 255, mask.shape, np.uint8)
    found = list(regions(*write_map(tmp_path, mask, levels), window))
    expected = outlines(mask == 1)
    assert len(found) == len(expected)
    for region in found:
        assert region.outline.geom_type == 'Polygon'
        assert region.outline.is_valid
        assert region.outline.area == region.pixels
    key = shapely.Polygon.__hash__
    assert {key(shapely.normalize(shapely.simplify(region.outline, 0)))
            for region in found} == {
                key(shapely.normalize(shapely.simplify(outline, 0)))
                for outline in expected}
    labels, count = ndimage.label(mask == 1)
    means = ndimage.mean(levels / 254, labels, range(1, count + 1))
    np.testing.assert_allclose(
        sorted(region.probability for region in found), sorted(means))


def test_one_region_over_all_windows(tmp_path):
    """A comb: teeth that only the last row of windows connects."""
    mask = np.zeros((40, 41), np.uint8)
    mask[:, ::2] = 1
    mask[-1] = 1
    region, = regions(*write_map(tmp_path, mask), 8)
    assert region.pixels == mask.sum() == region.outline.area


def test_spiral(tmp_path):
    mask = np.zeros((33, 33), np.uint8)
    row = column = 16
    step, (dy, dx) = 2, (0, 1)
    mask[row, column] = 1
    while 0 <= row + dy * step < 33 and 0 <= column + dx * step < 33:
        for _ in range(step):
            row, column = row + dy, column + dx
            mask[row, column] = 1
        dy, dx = dx, -dy
        step += 2 * (dx == 0)
    found = list(regions(*write_map(tmp_path, mask), 5))
    assert len(found) == 1 and found[0].pixels == mask.sum()


def test_areas_are_those_of_the_ellipsoid(tmp_path):
    """One degree square at the equator and at 60 degrees north.

    The area between two parallels is known in closed form:
    A = b^2 dlon [s / (1 - e^2 s^2) / 2 + ln((1 + e s) / (1 - e s)) / 4e],
    s the sine of the latitude.
    """
    ellipsoid = pyproj.Geod(ellps='WGS84')
    e = np.sqrt(ellipsoid.es)

    def zone(latitude):
        s = np.sin(np.radians(latitude))
        return ellipsoid.b**2 * np.radians(0.01) * (
            s / (1 - e**2 * s**2) / 2
            + np.log((1 + e * s) / (1 - e * s)) / (4 * e))

    for north in (0.01, 60.01):
        grid = Grid(1, 1, from_origin(10, north, 0.01, 0.01),
                    rasterio.crs.CRS.from_epsg(4326))
        surface = Surface(grid)
        placed = surface.place(shapely.box(0, 0, 1, 1))
        assert placed.bounds == pytest.approx((10, north - 0.01, 10.01,
                                               north))
        assert surface.area(placed) == pytest.approx(
            zone(north) - zone(north - 0.01), rel=1e-5)
        mercator = Grid(1, 1, from_origin(
            1113194.9, 8399737.9 if north > 1 else 1113.2, 1113.2, 1113.2),
            rasterio.crs.CRS.from_epsg(3857))
        surface = Surface(mercator)
        found = surface.area(surface.place(shapely.box(0, 0, 1, 1)))
        # Web Mercator stretches by the secant of the latitude.
        assert found == pytest.approx(
            1113.2**2 * np.cos(np.radians(north))**2, rel=1e-2)


def test_holes_count_out(tmp_path):
    mask = np.ones((20, 20), np.uint8)
    mask[5:10, 5:10] = 0
    target = tmp_path / 'out.gpkg'
    assert write_polygons(*write_map(tmp_path, mask), target) == 1
    meta, _, geometry, fields = pyogrio.raw.read(target)
    outline = shapely.from_wkb(geometry[0])
    assert outline.area == (400 - 25) * 100
    # At the central meridian, UTM scales lengths by 0.9996.
    values = dict(zip(meta['fields'], (field[0] for field in fields)))
    assert values['area_m2'] == pytest.approx(37500 / 0.9996**2, rel=3e-4)
    assert values['pixels'] == 375
    assert values['mean_prob'] == pytest.approx(200 / 254)
    assert pyproj.CRS.from_user_input(meta['crs']) == pyproj.CRS(UTM)


def test_polygons_lie_where_the_mask_is(mask, tmp_path):
    target = tmp_path / 'out.gpkg'
    write_polygons(*write_map(tmp_path, mask), target, window=16)
    _, _, geometry, _ = pyogrio.raw.read(target)
    drawn = rasterize(
        shapely.from_wkb(geometry), mask.shape,
        transform=from_origin(500000, 5400000, 10, 10))
    np.testing.assert_array_equal(drawn, mask == 1)


def test_many_batches(mask, tmp_path, monkeypatch):
    monkeypatch.setattr('opencd_gold.scenes.vectors._BATCH', 3)
    target = tmp_path / 'out.gpkg'
    count = write_polygons(*write_map(tmp_path, mask), target)
    assert count == len(outlines(mask == 1))
    assert pyogrio.read_info(target, layer='change')['features'] == count


def test_minimum_area_and_simplification(tmp_path):
    mask = np.zeros((40, 40), np.uint8)
    mask[2:4, 2:4] = 1
    mask[10:30, 10:30] = np.tri(20)
    target = tmp_path / 'out.gpkg'
    write_polygons(*write_map(tmp_path, mask), target, min_area=500)
    _, _, geometry, before = pyogrio.raw.read(target)
    stairs, = shapely.from_wkb(geometry)
    assert len(stairs.exterior.coords) > 40
    write_polygons(*write_map(tmp_path, mask), target, 500, simplify=1)
    _, _, geometry, after = pyogrio.raw.read(target)
    triangle, = shapely.from_wkb(geometry)
    assert len(triangle.exterior.coords) <= 5
    assert after[0] == before[0]


def test_geojson_is_in_degrees(tmp_path):
    mask = np.zeros((10, 10), np.uint8)
    mask[4, 4] = 1
    target = tmp_path / 'out.geojson'
    assert write_polygons(*write_map(tmp_path, mask), target) == 1
    feature, = json.loads(target.read_text())['features']
    x, y = feature['geometry']['coordinates'][0][0]
    expected = rasterio.warp.transform(UTM, 'EPSG:4326', [500040],
                                       [5399960])
    assert (x, y) == pytest.approx((expected[0][0], expected[1][0]),
                                   abs=2e-4)
    assert feature['properties']['pixels'] == 1


@pytest.mark.parametrize('suffix', ['.gpkg', '.geojson'])
def test_nothing_changed(tmp_path, suffix):
    target = tmp_path / f'out{suffix}'
    assert write_polygons(
        *write_map(tmp_path, np.zeros((5, 5))), target) == 0
    assert pyogrio.read_info(target)['features'] == 0


def test_without_crs(tmp_path):
    mask = np.zeros((10, 10), np.uint8)
    mask[2:4, 2:4] = mask[6, 6] = 1
    target = tmp_path / 'out.gpkg'
    assert write_polygons(*write_map(tmp_path, mask, crs=None), target,
                          min_area=2) == 1
    assert list(pyogrio.read_info(target)['fields']) == [
        'pixels', 'mean_prob']


def test_failing_leaves_what_was_there(tmp_path, monkeypatch):
    paths = write_map(tmp_path, np.ones((5, 5)))
    target = tmp_path / 'out.gpkg'
    target.write_text('before')

    def fail(*_, **__):
        raise pyogrio.errors.DataSourceError('disk full')

    monkeypatch.setattr(pyogrio.raw, 'write', fail)
    with pytest.raises(SceneError, match=r'out\.gpkg cannot be written: disk'):
        write_polygons(*paths, target)
    assert target.read_text() == 'before'
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'm.tif', 'out.gpkg', 'p.tif']


@pytest.mark.parametrize('options, text', [
    (dict(target='out.shp'), r'\.gpkg, \.geojson'),
    (dict(target='out.gpkg', min_area=-1), 'min_area -1'),
    (dict(target='out.gpkg', simplify=float('nan')), 'simplify nan')])
def test_refuses(tmp_path, options, text):
    with pytest.raises(SceneError, match=text):
        write_polygons('p.tif', 'm.tif', **options)
