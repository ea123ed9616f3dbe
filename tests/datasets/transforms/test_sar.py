import numpy as np
import pytest

from opencd_gold.datasets import transforms as T
from opencd_gold.datasets.change_dataset import seeded


def _one(transform, image):
    optical = np.full((4, 4, 3), 7, np.uint8)
    results = transform(
        dict(img=[optical, image], sensors=['optical', 'sar']))
    assert results['img'][0] is optical
    return results['img'][1]


def test_decibel():
    image = np.array([[[1.], [10.], [0.], [-1.], [1e-9]]], np.float32)
    found = _one(T.SARToDecibel(min_db=-30, max_db=5), image)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.ravel(), [0, 5, -30, -30, -30],
                               atol=1e-5)
    found = _one(
        T.SARToDecibel('amplitude'), np.full((1, 1, 2), 10, np.uint16))
    np.testing.assert_allclose(found, 20, atol=1e-5)


def test_percentiles():
    image = np.stack([np.arange(101.), np.arange(101.) * 10], axis=-1)[None]
    found = _one(T.PercentileScale((10, 90)), image.astype(np.float32))
    expected = np.clip((np.arange(101) - 10) / 80, 0, 1)
    np.testing.assert_allclose(found[0, :, 0], expected, atol=1e-6)
    np.testing.assert_allclose(found[0, :, 1], expected, atol=1e-6)
    found = _one(T.PercentileScale(ranges=[(0, 50), (500, 1000)],
                                   dtype='uint8'), image)
    assert found.dtype == np.uint8
    assert found[0, 50].tolist() == [255, 0]
    assert found[0, 75].tolist() == [255, round(255 * 250 / 500)]
    flat = _one(T.PercentileScale(), np.full((4, 4, 1), 5, np.uint16))
    assert (flat == 0).all()
    with pytest.raises(ValueError, match='has 2 bands, expected 1'):
        _one(T.PercentileScale(ranges=[(0, 1)]), image)


def test_percentiles_leave_out_pixels_without_data():
    image = np.arange(8, dtype=np.float32).reshape(2, 4, 1)
    image[1, 2:] = -9999
    results = T.PercentileScale((0, 100))(
        dict(img=[image], sensors=['sar'], nodata_mask=image[..., 0] < 0))
    np.testing.assert_allclose(
        results['img'][0].ravel(), [0, .2, .4, .6, .8, 1, 0, 0], atol=1e-6)


def _two_fields(looks=4, size=96):
    clean = np.ones((size, size, 1))
    clean[:, size // 2:] = 8
    rng = np.random.default_rng(0)
    return clean, clean * rng.gamma(looks, 1 / looks, clean.shape)


FILTERS = [T.LeeFilter(window=7, looks=4), T.RefinedLeeFilter(looks=4)]


@pytest.mark.parametrize('speckle_filter', FILTERS)
def test_filters_smooth_fields_and_keep_their_level(speckle_filter):
    clean, noisy = _two_fields()
    found = _one(speckle_filter, noisy.astype(np.float32))
    inside = (slice(8, -8), slice(8, 40))
    assert found.dtype == np.float32
    assert found[inside].mean() == pytest.approx(1, abs=0.05)
    # A 7 x 7 half window has 28 pixels; speckle of 4 looks has variance 1/4.
    assert found[inside].var() < 0.25 / 8
    constant = np.full((16, 16, 2), 3, np.float32)
    np.testing.assert_allclose(_one(speckle_filter, constant), 3, rtol=1e-6)


def test_refined_filter_keeps_edges_better():
    clean, noisy = _two_fields()
    near = (slice(None), slice(45, 51))
    errors = [
        np.sqrt(np.mean((_one(one, noisy) - clean)[near]**2))
        for one in FILTERS
    ]
    assert errors[1] < 0.9 * errors[0]
    for turn in range(1, 4):
        turned = _one(FILTERS[1], np.rot90(noisy, turn))
        error = np.sqrt(np.mean(
            (np.rot90(turned, -turn) - clean)[near]**2))
        assert error < 0.9 * errors[0]


def test_lee_is_the_formula():
    rng = np.random.default_rng(3)
    image = rng.gamma(1, 1, (3, 3, 1))
    found = _one(T.LeeFilter(window=3, looks=2), image)[1, 1, 0]
    mean, variance, noise = image.mean(), image.var(), 1 / 2
    signal = max(variance - noise * mean**2, 0) / (1 + noise)
    assert found == pytest.approx(
        mean + signal / variance * (image[1, 1, 0] - mean))


@pytest.mark.parametrize('domain, forth', [
    ('amplitude', np.sqrt), ('decibel', lambda x: 10 * np.log10(x))])
def test_filters_in_other_domains(domain, forth):
    _, noisy = _two_fields()
    expected = forth(_one(T.LeeFilter(looks=4), noisy))
    found = _one(T.LeeFilter(looks=4, domain=domain), forth(noisy))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_filter_of_eight_bits_of_decibel():
    _, noisy = _two_fields()
    level = 0.15
    image = np.clip(100 + 10 * np.log10(noisy) / level, 0, 255).astype(
        np.uint8)
    found = _one(T.LeeFilter(looks=4, domain='decibel', db_per_level=level),
                 image)
    assert found.dtype == np.uint8
    assert found[8:-8, 8:40].std() < image[8:-8, 8:40].std() / 2


@pytest.mark.parametrize('looks', [1, 4])
def test_speckle_has_mean_one_and_variance_of_its_looks(looks):
    with seeded(0):
        found = _one(T.GammaSpeckle(1., looks),
                     np.full((200, 200, 1), 5, np.float64)) / 5
    # Standard errors of mean and variance over 40,000 pixels, times five.
    assert found.mean() == pytest.approx(1, abs=5 * (1 / looks / 4e4)**.5)
    assert found.var() == pytest.approx(1 / looks, rel=0.15)


@pytest.mark.parametrize('domain, back', [
    ('amplitude', lambda x: x**2),
    ('decibel', lambda x: 10**(x / 10))])
def test_speckle_is_the_same_in_every_domain(domain, back):
    intensity = np.full((8, 8, 1), 4.)
    start = dict(amplitude=2., decibel=10 * np.log10(4))[domain]
    with seeded(1):
        expected = _one(T.GammaSpeckle(1., 3), intensity)
    with seeded(1):
        found = _one(T.GammaSpeckle(1., 3, domain=domain),
                     np.full((8, 8, 1), start))
    np.testing.assert_allclose(back(found), expected, rtol=1e-6)


def test_speckle_keeps_the_type_and_may_stay_away():
    image = np.full((64, 64, 2), 250, np.uint8)
    with seeded(0):
        found = _one(T.GammaSpeckle(1., 2, 'decibel', 0.1), image)
    assert found.dtype == np.uint8
    # Values beyond the type are clipped, none wraps around to dark.
    assert found.max() == 255
    assert np.quantile(found, 0.01) > 100
    assert _one(T.GammaSpeckle(0.), image) is image


@pytest.mark.parametrize('make, text', [
    (lambda: T.SARToDecibel('decibel'), "found 'decibel'"),
    (lambda: T.PercentileScale((5, 120)), r'0 to 100, found \(5, 120\)'),
    (lambda: T.PercentileScale(dtype='int8'), "found 'int8'"),
    (lambda: T.LeeFilter(window=4), 'odd and 3 or more, found 4'),
    (lambda: T.LeeFilter(looks=0), 'looks must be above 0, found 0'),
    (lambda: T.RefinedLeeFilter(domain='power'), "found 'power'"),
    (lambda: T.GammaSpeckle(looks=(9, 3)), 'looks must be'),
    (lambda: T.GammaSpeckle(db_per_level=0), 'found 0'),
    (lambda: T.GammaSpeckle(sensors='sar'), "found 'sar'"),
])
def test_bad_options_are_echoed(make, text):
    with pytest.raises(ValueError, match=text):
        make()
