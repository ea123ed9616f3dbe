"""Two rasters on the grid of the first: what is read, what is refused."""
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds
from rasterio.windows import Window
from scenes.conftest import UTM, write

from opencd_gold.scenes.grid import SceneError, ScenePair

LEFT, TOP = 500000, 5400000


def read(pair, *window):
    with pair.open() as reader:
        height, width = reader.grid.shape
        window = window or (0, 0, width, height)
        return reader.read(Window(*window))


@pytest.fixture
def paths(tmp_path):
    return tmp_path / 'a.tif', tmp_path / 'b.tif'


def test_same_grid_is_read_as_it_is(paths, noise):
    a, b = noise(3, 40, 50), noise(1, 40, 50)
    pair = ScenePair.of(write(paths[0], a), write(paths[1], b))
    images, valid = read(pair)
    assert images.dtype == np.uint8 and valid.all()
    np.testing.assert_array_equal(images, np.concatenate([a, b]))
    images, _ = read(pair, 7, 11, 20, 5)
    np.testing.assert_array_equal(images[:3], a[:, 11:16, 7:27])


@pytest.mark.parametrize('kind', [np.uint8, np.int16, np.float32])
def test_shifted_by_whole_pixels(paths, noise, kind):
    """The second starts 10 columns east and 5 rows south of the first."""
    a, b = noise(1, 40, 50), noise(1, 40, 50).astype(kind)
    write(paths[0], a)
    write(paths[1], b, from_origin(LEFT + 100, TOP - 50, 10, 10))
    images, valid = read(ScenePair.of(*paths, resampling='nearest'))
    expected = np.zeros((40, 50), bool)
    expected[5:, 10:] = True
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(images[1, 5:, 10:], b[0, :35, :40])
    assert not images[:, ~valid].any()


def test_coarser_second_is_interpolated(paths):
    """A plane stays a plane under bilinear interpolation."""
    rows, columns = np.mgrid[:20, :20].astype(np.float32)
    plane = 2 * columns + 3 * rows
    write(paths[0], np.zeros((40, 40), np.float32),
          from_origin(LEFT, TOP, 5, 5))
    write(paths[1], plane)
    images, _ = read(ScenePair.of(*paths))
    fine = (np.mgrid[:40, :40] + 0.5) / 2 - 0.5
    expected = 2 * fine[1] + 3 * fine[0]
    np.testing.assert_allclose(images[1, 2:-2, 2:-2], expected[2:-2, 2:-2],
                               atol=1e-3)


def test_other_crs(paths):
    """The second, in degrees, holds its own longitude."""
    write(paths[0], np.zeros((32, 32), np.float32))
    west, south, east, north = transform_bounds(
        UTM, 'EPSG:4326', LEFT - 500, TOP - 820, LEFT + 820, TOP + 500)
    step = 5e-5
    width, height = int((east - west) / step), int((north - south) / step)
    longitude = west + (np.arange(width) + .5) * step
    write(paths[1], np.tile(longitude.astype(np.float64), (height, 1)),
          from_origin(west, north, step, step), 'EPSG:4326')
    images, valid = read(ScenePair.of(*paths))
    assert valid.all()
    x = LEFT + 10 * (np.arange(32) + .5)
    expected, _ = rasterio.warp.transform(UTM, 'EPSG:4326', x,
                                          [TOP - 5.] * 32)
    np.testing.assert_allclose(images[1, 0], expected, atol=5e-6)


def test_nodata_of_either(paths):
    a = np.full((2, 8, 8), 5, np.uint8)
    a[:, 0] = 0
    a[0, 1] = 0  # one band of two: dark, not missing
    b = np.full((8, 8), 7, np.float32)
    b[:, 0] = np.nan
    write(paths[0], a, nodata=0)
    write(paths[1], b, nodata=np.nan)
    images, valid = read(ScenePair.of(*paths, fill=9))
    expected = np.ones((8, 8), bool)
    expected[0] = expected[:, 0] = False
    np.testing.assert_array_equal(valid, expected)
    assert (images[:, ~valid] == 9).all()
    assert images.dtype == np.float32


def test_alpha_band_is_a_mask(paths, noise):
    a = noise(4, 8, 8)
    a[3] = 255
    a[3, 2:4] = 0
    write(paths[0], a)
    write(paths[1], noise(1, 8, 8))
    with ScenePair.of(*paths).open() as reader:
        assert reader.bands == (3, 1)
        valid = reader.read(Window(0, 0, 8, 8))[1]
    np.testing.assert_array_equal(valid, a[3] > 0)
    with ScenePair.of(*paths).open((4, 1)) as reader:
        images, valid = reader.read(Window(0, 0, 8, 8))
    assert valid.all()
    np.testing.assert_array_equal(images[:4], a)


def test_bands_and_limits(paths, noise):
    a = np.stack([np.full((4, 4), value, np.uint16)
                  for value in (100, 600, 5000)])
    b = noise(1, 4, 4)
    pair = ScenePair.of(write(paths[0], a), write(paths[1], b),
                        bands=((3, 2), None), limits=((100, 1100), None))
    images, _ = read(pair)
    assert images.dtype == np.uint8
    assert images[:2, 0, 0].tolist() == [255, 128]


def test_wrong_bands(paths, noise):
    write(paths[0], noise(5, 4, 4))
    write(paths[1], noise(1, 4, 4))
    with pytest.raises(
            SceneError, match=r'a\.tif has 5 bands, expected 3 .*--bands-'):
        ScenePair.of(*paths).open((3, 1))
    with pytest.raises(SceneError, match=r'b\.tif has 1 bands, .*\(2,\)'):
        ScenePair.of(*paths, bands=(None, (2, ))).open()


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_nonfinite(paths, noise, value):
    write(paths[0], noise(1, 8, 8))
    b = np.ones((8, 8), np.float32)
    b[3, 5] = value
    write(paths[1], b)
    with pytest.raises(SceneError, match=r'b\.tif has NaN or infinite .*in '
                       r'1 pixels .*row 3, column 5.*--nonfinite'):
        read(ScenePair.of(*paths), 2, 2, 6, 6)
    _, valid = read(ScenePair.of(*paths, nonfinite='nodata'))
    assert np.argwhere(~valid).tolist() == [[3, 5]]


@pytest.mark.parametrize('which', [0, 1])
def test_no_crs(paths, noise, which):
    for index, path in enumerate(paths):
        write(path, noise(1, 8, 8), crs=None if index == which else UTM)
    name = paths[which].name
    with pytest.raises(SceneError, match=f'{name} has no CRS'):
        ScenePair.of(*paths).open()
    images, valid = read(ScenePair.of(*paths, assume_same_grid=True))
    assert images.shape == (2, 8, 8) and valid.all()


def test_same_grid_assumed_of_other_size(paths, noise):
    write(paths[0], noise(1, 8, 8), crs=None)
    write(paths[1], noise(1, 8, 9), crs=None)
    with pytest.raises(SceneError, match='has 8 x 9 pixels, expected 8 x 8'):
        ScenePair.of(*paths, assume_same_grid=True).open()


@pytest.mark.parametrize('crs, left', [(UTM, LEFT + 80),
                                       ('EPSG:32733', LEFT)])
def test_elsewhere(paths, noise, crs, left):
    write(paths[0], noise(1, 8, 8))
    write(paths[1], noise(1, 8, 8), from_origin(left, TOP, 10, 10), crs)
    with pytest.raises(SceneError, match=r'b\.tif and .*a\.tif do not over'):
        ScenePair.of(*paths).open()


@pytest.mark.parametrize('options', [{}, dict(compress='deflate')])
def test_truncated(paths, noise, options):
    write(paths[0], noise(1, 200, 200))
    write(paths[1], noise(1, 200, 200), tiled=True, blockxsize=64,
          blockysize=64, **options)
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[:len(whole) * 3 // 4])
    with ScenePair.of(*paths).open() as reader:
        with pytest.raises(SceneError, match=r'b\.tif cannot be read at row'):
            reader.probe()
        with pytest.raises(SceneError, match=r'b\.tif cannot be read at row'):
            reader.read(Window(100, 100, 100, 100))


def test_missing_file(paths, noise):
    write(paths[0], noise(1, 8, 8))
    with pytest.raises(SceneError, match=r'b\.tif cannot be read'):
        ScenePair.of(*paths).open()


@pytest.mark.parametrize('options, text', [
    (dict(resampling='magic'), 'one of nearest'),
    (dict(nonfinite='maybe'), 'one of error'),
    (dict(limits=((3, 3), None)), 'a lower and a higher')])
def test_wrong_options(options, text):
    with pytest.raises(SceneError, match=text):
        ScenePair.of('a.tif', 'b.tif', **options)
