"""Synthetic triplets: reproducible, honest labels, plausible physics."""
import math

import cv2
import numpy as np
import pytest

from opencd_gold.datasets import synthetic
from opencd_gold.datasets.converting import ConversionError
from opencd_gold.datasets.reading import read_image
from opencd_gold.datasets.synthetic import (
    make_triplet,
    tile_seed,
    write_triplets,
)


def scenes(seed, size, change):
    """The ground of make_triplet at both dates."""
    streams = [np.random.default_rng(s)
               for s in np.random.SeedSequence(seed).spawn(7)]
    frame = synthetic._Frame(streams[0], size)
    before = synthetic._lay_out(streams[0], frame)
    return before, synthetic._evolve(streams[1], frame, before, change)


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob('*')) if path.is_file()}


@pytest.mark.parametrize('size', [32, 63, 96])
def test_shapes(size):
    triplet = make_triplet(0, size=size)
    assert triplet.img_from.shape == (size, size, 3)
    assert triplet.img_guide.shape == (size, size, 3)
    assert triplet.img_to.shape == (size, size, 1)
    assert triplet.label.shape == (size, size)
    assert {array.dtype for array in triplet} == {np.dtype('uint8')}


def test_same_seed_same_arrays():
    first, again = make_triplet(7, size=64), make_triplet(7, size=64)
    other = make_triplet(8, size=64)
    for a, b, c in zip(first[:3], again[:3], other[:3]):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)
    assert np.array_equal(first.label, again.label)


def test_options_of_the_sensor_leave_the_ground_alone():
    one = make_triplet(3, size=64)
    two = make_triplet(3, size=64, looks=1, sar_bands=2, sar_dtype='float32')
    assert two.img_to.shape == (64, 64, 2)
    assert two.img_to.dtype == np.float32
    for name in ('img_from', 'img_guide', 'label'):
        assert np.array_equal(getattr(one, name), getattr(two, name))


def test_uint8_is_the_stretched_decibel_of_float32():
    linear = make_triplet(3, size=64, sar_dtype='float32').img_to
    decibel = 10 * np.log10(linear)
    expected = np.clip((decibel + 28) / 36 * 255, 0, 255)
    scaled = make_triplet(3, size=64).img_to
    assert np.abs(scaled - expected).max() <= 0.51


@pytest.mark.parametrize('looks', [1, 4, 16])
def test_speckle_has_mean_1_and_variance_1_over_looks(looks):
    speckled = make_triplet(
        1, size=128, looks=looks, sar_dtype='float32').img_to
    smooth = make_triplet(1, size=128, looks=1e9, sar_dtype='float32').img_to
    ratio = speckled / smooth
    assert ratio.mean() == pytest.approx(1, abs=0.03)
    assert ratio.var() == pytest.approx(1 / looks, rel=0.1)


def test_no_change_has_an_empty_label():
    for seed in range(4):
        assert not make_triplet(seed, size=64, change='none').label.any()


@pytest.mark.parametrize('change', ['built', 'flood', 'both'])
def test_label_is_where_the_cover_differs(change):
    demolished = 0
    for seed in range(8):
        before, after = scenes(seed, 160, change)
        label = make_triplet(seed, size=160, change=change).label
        assert np.array_equal(label == 255, before.cover != after.cover)
        assert set(np.unique(label)) == {0, 255}
        demolished += np.sum((before.cover == synthetic.BUILDING)
                             & (after.cover == synthetic.GROUND))
    assert (demolished > 0) == (change != 'flood')


def test_kinds_of_change():
    for seed in range(6):
        before, after = scenes(seed, 128, 'flood')
        changed = before.cover != after.cover
        assert changed.any()
        assert (before.cover[changed] == synthetic.OPEN).all()
        assert (after.cover[changed] == synthetic.WATER).all()
        before, after = scenes(seed, 128, 'built')
        changed = before.cover != after.cover
        assert changed.any()
        built = (synthetic.GROUND, synthetic.BUILDING)
        assert np.isin(after.cover[changed], built).all()


def test_share_of_change_varies():
    shares = np.array([(make_triplet(tile_seed(0, 'train', i), size=64).label
                        > 0).mean() for i in range(60)])
    assert 0.05 < (shares == 0).mean() < 0.35
    assert shares.max() > 0.15
    assert shares.max() < 0.35


def test_images_change_where_the_label_says():
    """Against the same tile without change: A is equal, C is not."""
    inside, outside = [], []
    for seed in range(6):
        still = make_triplet(seed, size=96, change='none')
        flood = make_triplet(seed, size=96, change='flood')
        assert np.array_equal(still.img_from, flood.img_from)
        gap = np.abs(still.img_guide.astype(int) - flood.img_guide).mean(-1)
        gap = cv2.blur(gap, (3, 3))
        changed = flood.label > 0
        near = cv2.dilate(flood.label, np.ones((7, 7), np.uint8)) > 0
        inside.append(np.median(gap[changed]))
        outside.append(np.median(gap[~near]))
    assert np.mean(inside) > 4 * np.mean(outside)


def test_season_differs_without_change():
    gaps = []
    for seed in range(6):
        a, _, c, label = make_triplet(seed, size=64, change='none')
        gaps.append(np.abs(a.astype(float) - c).mean())
        assert not label.any()
    assert min(gaps) > 8


def pixel_features(triplet, second):
    """Means of 5x5 pixels of two images, their squares and products."""
    bands = [cv2.blur(image.astype(np.float64) / 255, (5, 5)).reshape(
        triplet.label.size, -1)
        for image in (triplet.img_from, getattr(triplet, second))]
    x = np.concatenate([np.ones((triplet.label.size, 1)), *bands], axis=1)
    return np.concatenate(
        [x[:, i:i + 1] * x[:, i:] for i in range(x.shape[1])], axis=1)


def area_under_curve(score, truth):
    """Chance that a changed pixel scores above an unchanged one."""
    rank = np.empty(len(score))
    rank[np.argsort(score)] = np.arange(len(score))
    n = truth.sum()
    return (rank[truth].sum() - n * (n - 1) / 2) / (n * (len(truth) - n))


@pytest.mark.parametrize('change', ['built', 'flood'])
def test_guide_is_easier_than_sar(change):
    tiles = [make_triplet(i, size=96, change=change) for i in range(24)]
    truth = [tile.label.ravel() > 0 for tile in tiles]
    known = np.concatenate(truth[:16]).astype(float)
    area = {}
    for second in ('img_to', 'img_guide'):
        x = [pixel_features(tile, second) for tile in tiles]
        weight = np.linalg.lstsq(np.concatenate(x[:16]), known)[0]
        area[second] = area_under_curve(
            np.concatenate(x[16:]) @ weight, np.concatenate(truth[16:]))
    assert area['img_guide'] > area['img_to'] + 0.08
    assert area['img_to'] > 0.55


def test_water_is_dark_in_sar():
    water, land = [], []
    for seed in range(8):
        _, after = scenes(seed, 128, 'none')
        image = make_triplet(seed, size=128, change='none',
                             sar_dtype='float32').img_to[..., 0]
        water.append(image[after.cover == synthetic.WATER])
        land.append(image[after.cover == synthetic.OPEN])
    water, land = np.concatenate(water), np.concatenate(land)
    gap = 10 * math.log10(land.mean() / water.mean())
    assert 5 < gap < 15


@pytest.mark.parametrize('side', [-1, 1])
def test_building_in_sar(side):
    """Wall, layover and shadow of a box of 20 x 20 x 10 pixels at 45 deg.

    At 45 degrees both layover and shadow reach as far as the box is high.
    """
    image = np.full((64, 64), -11, np.float32)
    wing = synthetic._wing(np.array([32.0, 32.0]), 20, 20, 0)
    box = synthetic._Building([wing], 10, np.zeros(3), True)
    synthetic._scatter_building(
        image, box, np.array([side, 0.0]), math.pi / 4, 0)
    profile = image[32, ::side]
    wall = 42 if side > 0 else 64 - 22 - 1
    assert abs(int(profile.argmax()) - wall) <= 1
    assert profile.max() > 5
    layover = np.flatnonzero((profile > -6) & (profile < 5))
    assert layover.min() > wall - 2
    assert len(layover) == pytest.approx(10, abs=2)
    shadow = np.flatnonzero(profile < -20)
    assert shadow.max() < wall - 20 + 2
    assert len(shadow) == pytest.approx(10, abs=2)
    assert (image[:20] == -11).all()


def test_building_casts_its_shadow_away_from_the_sun():
    before, _ = scenes(0, 64, 'none')
    wing = synthetic._wing(np.array([32.0, 32.0]), 12, 12, 0)
    before.buildings = [synthetic._Building([wing], 8, np.ones(3), True)]
    before.trees = np.zeros((0, 3))
    before.cover[:] = synthetic.OPEN
    light = synthetic._shine(np.random.default_rng(0), 1)
    light.sun, light.shadow = np.array([0.0, 1.0]), 1.0
    shadow = synthetic._cast_shadows(before, light)
    assert shadow[20:25, 32].min() > 0.9
    assert shadow[42:, :].max() == 0


@pytest.mark.parametrize('option, found', [
    (dict(size=16), 'size=16'),
    (dict(looks=0), 'looks=0'),
    (dict(sar_bands=3), 'sar_bands=3'),
    (dict(change='fire'), "change='fire'"),
    (dict(sar_dtype='int8'), "sar_dtype='int8'"),
])
def test_wrong_options(option, found):
    with pytest.raises(ValueError, match=found):
        make_triplet(0, **option)


def test_written_tiles_depend_on_seed_split_and_number_alone(tmp_path):
    write_triplets(tmp_path / 'a', dict(train=3, val=1), size=32)
    write_triplets(tmp_path / 'b', dict(val=2, train=1), size=32)
    write_triplets(tmp_path / 'c', dict(train=1), size=32, seed=1)
    a, b, c = (files(tmp_path / name) for name in 'abc')
    assert len(a) == 16
    for name in set(a) & set(b):
        assert a[name] == b[name]
    assert len(set(a) & set(b)) == 8
    assert a['train/A/0000.png'] != a['val/A/0000.png']
    assert a['train/A/0000.png'] != c['train/A/0000.png']


def test_written_files_read_back(tmp_path):
    write_triplets(tmp_path, dict(test=1), size=32, seed=4)
    triplet = make_triplet(tile_seed(4, 'test', 0), size=32)
    for folder, image in zip('ABC', triplet):
        stored = cv2.imread(str(tmp_path / 'test' / folder / '0000.png'),
                            cv2.IMREAD_UNCHANGED)
        stored = stored.reshape(32, 32, -1)[..., ::-1]
        assert np.array_equal(stored, image)


def test_two_bands_are_written_as_tiff(tmp_path):
    write_triplets(tmp_path, dict(train=1), size=32, sar_bands=2,
                   sar_dtype='float32')
    triplet = make_triplet(tile_seed(0, 'train', 0), size=32, sar_bands=2,
                           sar_dtype='float32')
    stored, invalid = read_image(str(tmp_path / 'train/B/0000.tif'))
    assert invalid is None
    assert np.array_equal(stored, triplet.img_to)


def test_written_sets_are_not_overwritten(tmp_path):
    write_triplets(tmp_path, dict(train=2), size=32)
    before = files(tmp_path)
    with pytest.raises(ConversionError, match='already holds 0000.png'):
        write_triplets(tmp_path, dict(train=1), size=32, seed=9)
    assert files(tmp_path) == before
    write_triplets(tmp_path, dict(train=1), size=32, seed=9, force=True)
    assert sorted(files(tmp_path)) == [
        f'train/{folder}/0000.png' for folder in ('A', 'B', 'C', 'label')]
