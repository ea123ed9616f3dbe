"""Tiles: the right pixels, at every level, stretched as asked."""
import cv2
import numpy as np
import pytest
import rasterio
from annotation.conftest import picture
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from scenes.conftest import write

from opencd_gold.annotation.errors import AnnotationError, NotFound
from opencd_gold.annotation.imagery import ByteCache, Imagery, Stretch
from opencd_gold.annotation.overviews import reduce
from opencd_gold.annotation.project import Project
from opencd_gold.scenes.grid import SceneError

RAW = Stretch('minmax', (1, ), 0, 255)


def make(root, second=None, **first):
    """Imagery and the pair of A and B, ``(C, H, W)``."""
    for folder in 'AB':
        (root / folder).mkdir(parents=True)
    write(root / 'A/x.tif', **first)
    write(root / 'B/x.tif', **(second or first))
    project = Project.open(root)
    return Imagery(project), project.pairs[0]


def decode(png):
    """RGBA ``(256, 256, 4)``."""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA)


def tile(imagery, pair, *place, key='A', stretch=None):
    png, final = imagery.tile(pair, key, *place, stretch)
    assert final
    return decode(png)


def test_full_resolution(tmp_path):
    pixels = picture(0, 3).transpose(2, 0, 1)
    imagery, pair = make(tmp_path, pixels=pixels)
    info = imagery.info(pair)
    assert info.grid.shape == (300, 400) and info.levels == 2
    shown = tile(imagery, pair, 0, 1, 1)
    np.testing.assert_array_equal(shown[:44, :144, :3].transpose(2, 0, 1),
                                  pixels[:, 256:, 256:])
    assert (shown[:44, :144, 3] == 255).all()
    assert not shown[44:].any() and not shown[:, 144:].any()


def test_levels_are_averages(tmp_path):
    rows, columns = np.mgrid[:1100, :1100]
    pixels = np.uint8((rows + columns) // 10)[None]
    imagery, pair = make(tmp_path, pixels=pixels)
    assert imagery.info(pair).levels == 4
    for level in range(4):
        shown = tile(imagery, pair, level, 0, 0, stretch=RAW)
        side = min(256, -(-1100 // 2**level))
        centers = (np.arange(side) + 0.5) * 2**level - 0.5
        expected = (centers[:, None] + centers) / 10
        inner = np.s_[:side - 1, :side - 1]
        assert np.abs(shown[:side, :side, 0][inner]
                      - expected[inner]).max() < 1.5
        assert (shown[..., 3] > 0).sum() == side**2


def test_unknown_tiles(tmp_path):
    imagery, pair = make(tmp_path, pixels=picture(0, 1).transpose(2, 0, 1))
    for place in ((2, 0, 0), (-1, 0, 0), (0, 2, 0), (0, 0, -1), (1, 1, 0)):
        with pytest.raises(NotFound, match='has no tile'):
            imagery.tile(pair, 'A', *place)
    with pytest.raises(NotFound, match="no image 'C', expected one of A, B"):
        imagery.tile(pair, 'C', 0, 0, 0)


def test_other_grid_is_put_on_that_of_a(tmp_path):
    """B has pixels twice as large and begins 100 m further south."""
    rows, columns = np.mgrid[:300, :400].astype(np.float32)
    first = dict(pixels=(rows + columns)[None])
    coarse = rows[:150, :200] * 2 + columns[:150, :200] * 2 + 11
    second = dict(pixels=coarse[None],
                  transform=from_origin(500000, 5399900, 20, 20))
    imagery, pair = make(tmp_path, second, **first)
    stretch = Stretch('minmax', (1, ), 0, 1000)
    one, other = (tile(imagery, pair, 0, 0, 0, key=key, stretch=stretch)
                  for key in 'AB')
    assert not other[:10, :, 3].any() and other[10:, :, 3].all()
    inner = np.s_[12:250, 3:250, 0]
    assert np.abs(one[inner].astype(int) - other[inner]).max() <= 1


def test_nodata_is_transparent(tmp_path):
    pixels = picture(0, 1).transpose(2, 0, 1)
    pixels[:, 40:80, 40:80] = 0
    imagery, pair = make(tmp_path, pixels=pixels, nodata=0)
    shown = tile(imagery, pair, 0, 0, 0)
    assert not shown[40:80, 40:80].any()
    assert (shown[..., 3] == 255).sum() == 256**2 - 40**2
    shown = tile(imagery, pair, 1, 0, 0, stretch=RAW)
    assert not shown[20:40, 20:40].any() and shown[19, 20:40, 3].all()
    # What has no data does not darken what is beside it.
    assert abs(int(shown[19, 30, 0]) - pixels[0, 38:40, 60:62].mean()) <= 1


def test_percentiles_of_the_whole_image(tmp_path):
    pixels = np.linspace(0, 4000, 300 * 400).reshape(1, 300, 400)
    imagery, pair = make(tmp_path, pixels=pixels.astype(np.uint16))
    image = imagery.info(pair).images['A']
    assert image.stretch == ('percentile', (1, ), 2, 98)
    np.testing.assert_allclose(
        imagery.limits(image, image.stretch), [[80, 3920]], atol=5)
    shown = tile(imagery, pair, 0, 0, 0)[..., 0]
    expected = (pixels[0, :256, :256] - 80) / 3840 * 255
    assert np.abs(shown - np.clip(expected, 0, 255)).max() < 1.5


def test_decibel(tmp_path):
    pixels = 10 ** np.linspace(-2, 1, 300 * 400).reshape(
        1, 300, 400).astype(np.float32)
    pixels[0, 0, :5] = 0, -0., np.nan, np.inf, 0
    optical = picture(0, 3).transpose(2, 0, 1)
    imagery, pair = make(tmp_path, dict(pixels=pixels), pixels=optical)
    image = imagery.info(pair).images['B']
    assert image.sensor == 'sar' and image.stretch.mode == 'decibel'
    np.testing.assert_allclose(imagery.limits(
        image, Stretch('decibel', (1, ), 0, 50)), [[-20, -5]], atol=0.1)
    shown = tile(imagery, pair, 0, 0, 0, key='B',
                 stretch=Stretch('decibel', (1, ), 0, 100))
    decibel = 10 * np.log10(pixels[0, 1:256, :256])
    assert np.abs(shown[1:, :, 0] - (decibel + 20) / 30 * 255).max() < 1.5
    # No power is black; what is no number is no data.
    assert shown[0, :5, 0].tolist() == [0] * 5
    assert shown[0, :5, 3].tolist() == [255, 255, 0, 0, 255]


def test_sar_that_is_in_decibel_already(tmp_path):
    pixels = np.full((1, 64, 64), -12, np.float32)
    optical = picture(0, 3, (64, 64)).transpose(2, 0, 1)
    imagery, pair = make(tmp_path, dict(pixels=pixels), pixels=optical)
    assert imagery.info(pair).images['B'].stretch.mode == 'percentile'
    # One value is a mid gray.
    assert (tile(imagery, pair, 0, 0, 0, key='B')[:64, :64, :3] == 128).all()


def test_bands_and_complex_values(tmp_path):
    pixels = np.stack([np.full((50, 50), value, np.complex64)
                       for value in (3 + 4j, 10, 20j, 40)])
    imagery, pair = make(tmp_path, pixels=pixels)
    shown = tile(imagery, pair, 0, 0, 0,
                 stretch=Stretch('minmax', (4, 1, 2), 0, 51))
    assert shown[0, 0].tolist() == [200, 25, 50, 255]


@pytest.mark.parametrize('stretch, error', [
    (Stretch('log', (1, )), "mode 'log'"),
    (Stretch('minmax', (1, 2)), 'expected one or three'),
    (Stretch('minmax', (4, )), 'expected one or three'),
    (Stretch('percentile', (1, ), 50, 20), 'the lower first'),
    (Stretch('decibel', (1, ), 0, 101), 'percentiles'),
    (Stretch('minmax', (1, ), 5, 5), 'the lower first')])
def test_wrong_stretch(tmp_path, stretch, error):
    imagery, pair = make(tmp_path, pixels=picture(0, 3).transpose(2, 0, 1))
    with pytest.raises(AnnotationError, match=error):
        imagery.tile(pair, 'A', 0, 0, 0, stretch)


def large(seed, height=2300):
    """More than 2,048 pixels high, as 16 bit."""
    return picture(seed, 1, (height, 1400)).transpose(2, 0, 1).astype(
        np.uint16) * 16


def test_overviews_are_made(tmp_path):
    pixels = large(0)
    pixels[:, 512:1024, :512] = 0
    imagery, pair = make(tmp_path, pixels=pixels, nodata=0, tiled=True,
                         blockxsize=256, blockysize=256)
    info = imagery.info(pair)
    assert info.levels == 5
    stretch = Stretch('minmax', (1, ), 0, 4080)
    _, final = imagery.tile(pair, 'A', 3, 0, 0, stretch)
    assert not final
    imagery.prepare(info)
    assert imagery.overviews.wait()
    assert len(list((tmp_path / 'annotations/.cache').iterdir())) == 2
    for level in (2, 3, 4):
        shown = tile(imagery, pair, level, 0, 0, stretch=stretch)
        scale = 2**level
        rows, columns = 2304 // scale, 1392 // scale
        expected = np.pad(pixels[0, :, :1392] / 16, ((0, 4), (0, 0)),
                          'edge').reshape(rows, scale, columns, scale)
        expected = expected.mean((1, 3))[:256, :256]
        hole = expected == 0
        rows, columns = expected.shape
        shown = shown[:rows, :columns]
        assert np.abs(shown[..., 0] - expected)[:-1, :-1].max() < 2
        np.testing.assert_array_equal(shown[..., 3] == 0, hole)
    # A changed file gets others.
    write(tmp_path / 'A/x.tif', pixels[:, ::-1] // 2, nodata=0)
    assert not imagery.tile(pair, 'A', 3, 0, 0, stretch)[1]
    imagery.overviews.close()


def test_overviews_of_the_file_are_used(tmp_path):
    pixels = large(1, 2304)
    imagery, pair = make(tmp_path, pixels=pixels)
    for key in 'AB':
        with rasterio.open(tmp_path / key / 'x.tif', 'r+') as target:
            target.build_overviews([2, 4, 8], Resampling.average)
    info = imagery.info(pair)
    assert all(image.has_overviews for image in info.images.values())
    imagery.prepare(info)
    shown = tile(imagery, pair, 3, 0, 0,
                 stretch=Stretch('minmax', (1, ), 0, 4080))
    expected = pixels[0].reshape(288, 8, 175, 8).mean((1, 3)) / 16
    assert np.abs(shown[:256, :175, 0] - expected[:256]).max() < 2
    assert not (tmp_path / 'annotations').exists()


def test_preview_grows(tmp_path, monkeypatch):
    monkeypatch.setattr('opencd_gold.annotation.imagery._DIRECT', 64)
    imagery, pair = make(tmp_path, pixels=large(2))
    overviews = imagery.overviews
    windows = []

    def busy():
        """Looked at before each window; stops after the second."""
        windows.append(0)
        if len(windows) == 3:
            first, final = imagery.tile(pair, 'A', 4, 0, 0, RAW)
            assert not final
            found.append(decode(first))
            overviews._stop.set()
        return False

    found = []
    overviews.busy = busy
    overviews.want(imagery.info(pair).images['A'])
    assert overviews.wait()
    assert found[0][:64, :87, 3].all() and not found[0][65:, :, 3].any()
    assert not list((tmp_path / 'annotations/.cache').iterdir())


def test_failed_overviews_leave_tiles(tmp_path):
    imagery, pair = make(tmp_path, pixels=large(3))
    (tmp_path / 'annotations').write_text('no folder')
    imagery.prepare(imagery.info(pair))
    assert imagery.overviews.wait()
    png, final = imagery.tile(pair, 'A', 4, 0, 0)
    assert decode(png)[:140, :80, 3].all() and final


def test_files_that_do_not_fit(tmp_path):
    first = dict(pixels=picture(0, 1).transpose(2, 0, 1), crs=None)
    imagery, pair = make(tmp_path, dict(
        pixels=picture(0, 1, (64, 64)).transpose(2, 0, 1), crs=None), **first)
    with pytest.raises(SceneError, match='without georeference differ'):
        imagery.info(pair)
    (tmp_path / 'B/x.tif').unlink()
    with pytest.raises(NotFound, match='cannot be read'):
        imagery.info(pair)


def test_a_link_made_later_is_refused(tmp_path):
    root, secret = tmp_path / 'root', tmp_path / 'secret.tif'
    pixels = picture(0, 1).transpose(2, 0, 1)
    imagery, pair = make(root, pixels=pixels)
    write(secret, pixels)
    (root / 'B/x.tif').unlink()
    (root / 'B/x.tif').symlink_to(secret)
    with pytest.raises(AnnotationError, match='outside of'):
        imagery.tile(pair, 'B', 0, 0, 0)


def test_cache_forgets_the_oldest():
    cache = ByteCache(10)
    for key in range(3):
        cache.put(key, b'1234')
        assert cache.get(0) or key == 2
    assert (cache.get(0), cache.get(1), cache.bytes) == (b'1234', None, 8)
    cache.put(0, b'1')
    assert cache.bytes == 5


def test_reduce_of_odd_sizes_and_types():
    pixels = np.arange(35, dtype=np.int32).reshape(1, 5, 7)
    valid = np.ones((5, 7), bool)
    small, present = reduce(pixels, valid, 4)
    assert small.shape == (1, 2, 2) and small.dtype == np.float32
    assert present.all()
    np.testing.assert_allclose(
        reduce(pixels[:, :4, :4], valid[:4, :4], 4)[0], [[[12.]]])
    valid[:4, :3] = False
    np.testing.assert_allclose(
        reduce(pixels[:, :4, :4], valid[:4, :4], 4)[0],
        [[[np.mean([3, 10, 17, 24])]]])
