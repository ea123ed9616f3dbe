"""Whole scenes by tiles: the maps, resuming, sharing, failing."""
import json
import os
import resource
import shutil
import time

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from scenes.conftest import UTM, write

from opencd_gold.scenes import predict as module
from opencd_gold.scenes.grid import SceneError, ScenePair
from opencd_gold.scenes.predict import (
    SceneOptions,
    predict_array,
    predict_scene,
)

OPTIONS = dict(tile_size=32, overlap=8, batch_size=3)


def pointwise(images):
    """Probability that follows from each pixel alone."""
    return images[:, 0].astype(np.float32) / 255


class Counter:
    """``pointwise`` that counts tiles, and may die.

    Dies when ``after`` is there, which another thread writes.
    """

    def __init__(self, dies_after=10**9, after=None):
        self.tiles, self.dies_after, self.after = 0, dies_after, after

    def __call__(self, images):
        if self.tiles >= self.dies_after:
            while self.after and not self.after.exists():
                time.sleep(0.01)
            raise KeyboardInterrupt
        self.tiles += len(images)
        return pointwise(images)


@pytest.fixture
def pair(tmp_path, noise):
    a, b = noise(1, 100, 90), noise(1, 100, 90)
    return ScenePair.of(write(tmp_path / 'a.tif', a),
                        write(tmp_path / 'b.tif', b))


def run(pair, out, predict=pointwise, model='m', **options):
    return predict_scene(predict, (1, 1), model, pair, out,
                         SceneOptions(**{**OPTIONS, **options}))


def read(path):
    with rasterio.open(path) as source:
        return source.read(1)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_maps(pair, tmp_path):
    result = run(pair, tmp_path / 'out')
    image = read(pair.first.path)
    expected = np.rint(image / np.float32(255) * 254)
    found = read(result.probability)
    np.testing.assert_array_equal(found, expected)
    mask = image / 255 > 0.5
    np.testing.assert_array_equal(read(result.mask), mask)
    assert sorted(content(tmp_path / 'out')) == [
        'a_mask.tif', 'a_probability.tif']
    assert result.statistics == pytest.approx(dict(
        pixels=9000, valid_pixels=9000, changed_pixels=mask.sum(),
        changed_share=mask.mean(), mean_probability=found.mean() / 254,
        changed_area_m2=100 * mask.sum()))


def test_maps_are_cloud_optimized(tmp_path, noise):
    a = noise(1, 700, 600)
    write(tmp_path / 'a.tif', a)
    pair = ScenePair.of(tmp_path / 'a.tif', tmp_path / 'a.tif')
    result = run(pair, tmp_path / 'out', tile_size=256)
    for path in (result.probability, result.mask):
        with rasterio.open(path) as source, rasterio.open(
                tmp_path / 'a.tif') as first:
            assert source.tags(ns='IMAGE_STRUCTURE')['LAYOUT'] == 'COG'
            assert source.profile['tiled'] and source.compression.name == (
                'deflate')
            assert source.overviews(1) == [2]
            assert (source.crs, source.transform) == (first.crs,
                                                      first.transform)
            assert source.nodata == 255
    with rasterio.open(result.probability) as source:
        assert source.scales == (1 / 254, )
    with rasterio.open(result.mask) as source:
        assert source.colormap(1)[1] == (213, 94, 0, 255)


def test_nodata_of_either_is_nodata(tmp_path, noise):
    a, b = noise(1, 100, 90), noise(1, 100, 90)
    a[:, :20] = 0
    write(tmp_path / 'a.tif', a, nodata=0)
    write(tmp_path / 'b.tif', b, from_origin(500400, 5400000, 10, 10))
    counter = Counter()
    result = run(ScenePair.of(tmp_path / 'a.tif', tmp_path / 'b.tif'),
                 tmp_path / 'out', counter)
    valid = np.ones((100, 90), bool)
    valid[:20] = valid[:, :40] = False
    for path in (result.probability, result.mask):
        np.testing.assert_array_equal(read(path) == 255, ~valid)
    assert result.statistics['valid_pixels'] == valid.sum()
    # Of four columns of tiles the first, up to column 32, has no data.
    assert counter.tiles == 12
    expected = np.rint(a[0] / np.float32(255) * 254)
    np.testing.assert_array_equal(read(result.probability)[valid],
                                  expected[valid])


def test_seams_of_a_network_with_context(tmp_path, noise):
    """Tiles blended differ from the whole less than tiles set side by side.

    The network averages 9 x 9 pixels, with zeros beyond the border.
    """
    import torch
    from torch.nn import functional as F

    def network(images):
        pixels = torch.from_numpy(images[:, :1].astype(np.float32)) / 255
        return F.avg_pool2d(pixels, 9, 1, 4)[:, 0].numpy()

    image = noise(1, 120, 130)
    valid = np.ones(image.shape[1:], bool)
    whole = network(image[None])[0]
    errors = {
        overlap: np.abs(
            predict_array(network, image, valid, 32, overlap) - whole).max()
        for overlap in (0, 10)
    }
    assert errors[10] < errors[0] / 3


def test_interrupted_run_goes_on(pair, tmp_path):
    whole = run(pair, tmp_path / 'whole')
    every = Counter()
    run(pair, tmp_path / 'other', every)
    part = tmp_path / 'out/a.partial/part-00000-0000.tif'
    first = Counter(dies_after=9, after=part)
    with pytest.raises(KeyboardInterrupt):
        run(pair, tmp_path / 'out', first)
    assert [path.name for path in (tmp_path / 'out').iterdir()] == [
        'a.partial']
    done = sorted(path.name for path in
                  (tmp_path / 'out/a.partial').glob('part*'))
    assert 0 < len(done) < 4
    rest = Counter()
    result = run(pair, tmp_path / 'out', rest)
    # All but the rows done, and one row again.
    assert rest.tiles == every.tiles - 4 * (len(done) - 1)
    for kind in ('probability', 'mask'):
        np.testing.assert_array_equal(read(getattr(result, kind)),
                                      read(getattr(whole, kind)))


def test_gaps_are_filled(pair, tmp_path):
    whole = run(pair, tmp_path / 'whole')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.PartStore, 'join', lambda *_: None)
        patch.setattr(module.PartStore, 'remove', lambda *_: None)
        run(pair, tmp_path / 'out')
    for row in (0, 2):
        (tmp_path / f'out/a.partial/part-{row:05d}-0000.tif').unlink()
    rest = Counter()
    result = run(pair, tmp_path / 'out', rest)
    assert rest.tiles == 4 * 3
    np.testing.assert_array_equal(read(result.probability),
                                  read(whole.probability))


def test_wide_scenes_have_several_parts_a_row(pair, tmp_path, monkeypatch):
    whole = run(pair, tmp_path / 'whole')
    monkeypatch.setattr('opencd_gold.scenes.parts._PART_WIDTH', 64)
    seen = []
    add = module.PartStore.join

    def join(self, *arguments):
        seen.extend(sorted(path.name for path in self.folder.glob('*-*.tif')))
        add(self, *arguments)

    monkeypatch.setattr(module.PartStore, 'join', join)
    result = run(pair, tmp_path / 'out')
    assert seen[:3] == ['part-00000-0000.tif', 'part-00000-0001.tif',
                        'part-00001-0000.tif']
    np.testing.assert_array_equal(read(result.probability),
                                  read(whole.probability))


@pytest.mark.parametrize('change, key', [
    (dict(threshold=0.6), 'threshold = 0.5'),
    (dict(tile_size=40), 'tile_size = 32'),
    (dict(model='other'), "model = 'm'")])
def test_other_settings_are_refused(pair, tmp_path, change, key):
    with pytest.raises(KeyboardInterrupt):
        run(pair, tmp_path / 'out', Counter(dies_after=9))
    before = content(tmp_path / 'out/a.partial')
    with pytest.raises(SceneError, match=f'begun with {key}.*--restart'):
        run(pair, tmp_path / 'out', **change)
    assert content(tmp_path / 'out/a.partial') == before
    run(pair, tmp_path / 'out', restart=True, **change)
    assert not (tmp_path / 'out/a.partial').exists()


def test_input_that_changed_is_refused(pair, tmp_path, noise):
    with pytest.raises(KeyboardInterrupt):
        run(pair, tmp_path / 'out', Counter(dies_after=9))
    write(tmp_path / 'b.tif', noise(1, 100, 90) // 2)
    with pytest.raises(SceneError, match='begun with second'):
        run(pair, tmp_path / 'out')


def test_finished_maps_are_left_alone(pair, tmp_path):
    first = run(pair, tmp_path / 'out')
    before = content(tmp_path / 'out')
    counter = Counter()
    again = run(pair, tmp_path / 'out', counter)
    assert again.skipped and counter.tiles == 0
    assert again.statistics == first.statistics
    with pytest.raises(SceneError, match=r'a_prob.* exists.*--overwrite'):
        run(pair, tmp_path / 'out', threshold=0.7)
    assert content(tmp_path / 'out') == before
    result = run(pair, tmp_path / 'out', threshold=0.7, overwrite=True)
    assert not result.skipped
    assert read(result.mask).sum() == (read(pair.first.path) / 255
                                       > 0.7).sum()


@pytest.mark.parametrize('step', ['join', 'remove'])
def test_killed_at_the_end(pair, tmp_path, monkeypatch, step):
    """Before the maps are there, or before their parts are gone."""

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.PartStore, step, die)
        with pytest.raises(KeyboardInterrupt):
            run(pair, tmp_path / 'out')
    assert (tmp_path / 'out/a.partial').is_dir()
    counter = Counter()
    result = run(pair, tmp_path / 'out', counter)
    assert counter.tiles == 0
    assert result.skipped == (step == 'remove')
    assert sorted(content(tmp_path / 'out')) == [
        'a_mask.tif', 'a_probability.tif']


def test_two_ranks_share(pair, tmp_path):
    """Rank 1 first; rank 0 finds its rows and joins all."""
    whole = run(pair, tmp_path / 'whole')
    counters = [Counter(), Counter()]
    result = run(pair, tmp_path / 'out', counters[1], rank=1, world_size=2)
    assert result.statistics is None and not result.mask.exists()
    # Four rows of four tiles; two, and the one before them.
    assert counters[1].tiles == 12
    result = run(pair, tmp_path / 'out', counters[0], world_size=2)
    assert counters[0].tiles == 8
    np.testing.assert_array_equal(read(result.probability),
                                  read(whole.probability))


def test_truncated_input_leaves_nothing(pair, tmp_path):
    path = tmp_path / 'b.tif'
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(SceneError, match=r'b\.tif cannot be read'):
        run(pair, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_network_that_fails_leaves_no_map(pair, tmp_path):

    def fail(images):
        raise RuntimeError('out of memory')

    with pytest.raises(RuntimeError, match='out of memory'):
        run(pair, tmp_path / 'out', fail)
    assert not list((tmp_path / 'out').glob('*.tif'))


@pytest.fixture
def disk():
    """``disk(full)``: whether writing beyond 20 kB of a file fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def set_limit(full):
        resource.setrlimit(resource.RLIMIT_FSIZE,
                           (20000 if full else soft, hard))

    yield set_limit
    set_limit(False)


@pytest.mark.parametrize('size, tile_size, kind', [
    (300, 128, 'part'), (180, 64, 'a_probability')])
def test_no_space_left(tmp_path, noise, disk, size, tile_size, kind):
    """In a part, or only in the map that is made of parts; then space."""
    write(tmp_path / 'a.tif', noise(1, size, size))
    pair = ScenePair.of(tmp_path / 'a.tif', tmp_path / 'a.tif')
    options = dict(tile_size=tile_size, overlap=16)
    disk(True)
    with pytest.raises(SceneError,
                       match=rf'{kind}\S* cannot be written.*free'):
        run(pair, tmp_path / 'out', **options)
    names = [path.name for path in (tmp_path / 'out').iterdir()]
    assert names == ['a.partial']
    disk(False)
    result = run(pair, tmp_path / 'out', **options)
    np.testing.assert_array_equal(
        read(result.probability),
        np.rint(read(pair.first.path) / np.float32(255) * 254))
    assert not (tmp_path / 'out/a.partial').exists()


def test_folder_that_cannot_be_made(pair, tmp_path):
    (tmp_path / 'out').write_text('a file')
    with pytest.raises(SceneError, match='out.*cannot be written'):
        run(pair, tmp_path / 'out')


def test_damaged_part_is_named(pair, tmp_path):
    part = tmp_path / 'out/a.partial/part-00000-0000.tif'
    with pytest.raises(KeyboardInterrupt):
        run(pair, tmp_path / 'out', Counter(dies_after=9, after=part))
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(SceneError, match='part-00000-0000.tif is damaged'):
        run(pair, tmp_path / 'out')
    part.unlink()
    run(pair, tmp_path / 'out')


def test_journal_says_what_was_asked(pair, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(pair, tmp_path / 'out', Counter(dies_after=9))
    journal = json.loads(
        (tmp_path / 'out/a.partial/journal.json').read_text())
    assert journal['model'] == 'm'
    assert journal['first']['path'] == 'a.tif'
    assert journal['first']['size'] == os.path.getsize(pair.first.path)
    # Moved as a whole, a scene goes on.
    shutil.move(tmp_path / 'out', tmp_path / 'moved')
    run(pair, tmp_path / 'moved')


def test_timer(pair, tmp_path):
    result = run(pair, tmp_path / 'out')
    assert result.timer.tiles == 16
    assert 0 < result.timer.forward < result.timer.total


def test_progress(pair, tmp_path):
    seen = []
    predict_scene(pointwise, (1, 1), 'm', pair, tmp_path / 'out',
                  SceneOptions(**OPTIONS),
                  progress=lambda *found: seen.append(found))
    assert sum(done for done, _ in seen) == 16
    assert {total for _, total in seen} == {16}


def test_crs_of_the_first(tmp_path, noise):
    write(tmp_path / 'a.tif', noise(1, 40, 40), crs=UTM)
    write(tmp_path / 'b.tif', noise(1, 400, 400),
          from_origin(14.98, 48.76, 1e-4, 1e-4), 'EPSG:4326')
    result = run(ScenePair.of(tmp_path / 'a.tif', tmp_path / 'b.tif'),
                 tmp_path / 'out')
    with rasterio.open(result.mask) as source:
        assert source.crs == UTM and source.shape == (40, 40)
    assert result.statistics['valid_pixels'] > 0
