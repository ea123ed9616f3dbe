import cv2
import numpy as np
import pytest

from opencd_gold.datasets import transforms as T
from opencd_gold.datasets.change_dataset import seeded

SENSORS = ['optical', 'sar', 'optical']


def _sample(dtype=np.uint8, bands=(3, 1, 3)):
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, (16, 16, count)).astype(dtype)
        for count in bands
    ]
    return dict(img=images, sensors=SENSORS, color_order='rgb')


@pytest.mark.parametrize('kind, kwargs', [
    (T.MultiImgPhotoMetricDistortion, dict()),
    (T.MultiImgGaussianBlur, dict(prob=1., sigma=(1, 1)))])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_optical_images_alone_change(kind, kwargs, dtype):
    changed = 0
    for seed in range(8):
        before = _sample(dtype)
        kept = [image.copy() for image in before['img']]
        with seeded(seed):
            after = kind(**kwargs)(dict(before))
        assert after['img'][1] is before['img'][1]
        for image, old in zip(after['img'], kept):
            assert image.dtype == dtype
            assert image.shape == old.shape
        changed += (after['img'][0] != kept[0]).any()
        np.testing.assert_array_equal(before['img'][0], kept[0])
    assert changed >= 6


def test_other_band_counts_keep_their_shape():
    for seed in range(4):
        with seeded(seed):
            after = T.MultiImgPhotoMetricDistortion()(
                _sample(bands=(6, 1, 2)))
        assert [image.shape[2] for image in after['img']] == [6, 1, 2]


def test_shared_or_apart():
    sample = _sample()
    sample['img'][2] = sample['img'][0]
    alike = {True: 0, False: 0}
    for shared in alike:
        transform = T.MultiImgPhotoMetricDistortion(shared=shared)
        for seed in range(20):
            with seeded(seed):
                first, _, third = transform(dict(sample))['img']
            alike[shared] += (first == third).all()
    assert alike[True] == 20
    assert alike[False] < 5


def test_linear_is_the_formula():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    distort = T.MultiImgPhotoMetricDistortion()
    found = distort._linear(image, 1.5, -20)
    expected = np.clip(np.rint(image * np.float32(1.5) - 20), 0, 255)
    np.testing.assert_array_equal(found, expected)
    wide = distort._linear(image.astype(np.uint16) * 257, 1.5, -20)
    np.testing.assert_allclose(
        wide, np.clip(image * 257. * 1.5 - 20 * 257, 0, 65535), atol=0.51)


def test_color_turns_hue_and_scales_saturation():
    distort = T.MultiImgPhotoMetricDistortion()
    red = np.array([[[200, 0, 0]]], np.uint8)
    # 60 steps of 2 degrees turn red into green.
    np.testing.assert_array_equal(
        distort._color(red, 1., 60, 'rgb'), [[[0, 200, 0]]])
    np.testing.assert_array_equal(
        distort._color(red[..., ::-1], 1., 60, 'bgr'), [[[0, 200, 0]]])
    np.testing.assert_array_equal(
        distort._color(red, 0., 0, 'rgb'), [[[200, 200, 200]]])
    wide = distort._color(red.astype(np.uint16) * 257, 1., 60, 'rgb')
    np.testing.assert_allclose(wide, [[[0, 200 * 257, 0]]], atol=1)


def test_zero_ranges_change_nothing():
    distort = T.MultiImgPhotoMetricDistortion(0, (1, 1), (1, 1), 0)
    sample = _sample()
    sample['img'][0][:] = 90
    for seed in range(8):
        with seeded(seed):
            after = distort(dict(sample))
        np.testing.assert_array_equal(after['img'][0], sample['img'][0])


def test_blur_is_shared_by_default():
    sample = _sample()
    with seeded(2):
        after = T.MultiImgGaussianBlur(1., (0.5, 1.5))(dict(sample))
    with seeded(2):
        np.random.rand()
        sigma = np.random.uniform(0.5, 1.5)
    for i in (0, 2):
        np.testing.assert_array_equal(
            after['img'][i], cv2.GaussianBlur(sample['img'][i], (0, 0),
                                              sigma))


def jitter_alone(name, value, bands=3, order='rgb'):
    """The sample's first images before and after one fixed step."""
    transform = T.MultiImgColorJitter(sensors=('optical', 'sar'))
    transform._draw = lambda: [(name, value)]
    sample = dict(_sample(bands=(bands, 1, 3)), color_order=order)
    return [
        image[0].astype(np.float64)
        for image in (sample['img'], transform(dict(sample))['img'])
    ]


def gray(image):
    """Luma of ITU-R 601."""
    if image.shape[2] == 1:
        return image
    return image @ np.array([[.299], [.587], [.114]])


@pytest.mark.parametrize('bands', [1, 3])
@pytest.mark.parametrize('name, base', [
    ('Brightness', lambda x: 0.), ('Contrast', lambda x: gray(x).mean()),
    ('Color', gray)])
def test_jitter_blends_by_the_factor(name, base, bands):
    for factor in (0.7, 1.3):
        before, after = jitter_alone(name, factor, bands)
        expected = base(before) + factor * (before - base(before))
        np.testing.assert_allclose(
            after, np.clip(expected, 0, 255), atol=1.5)


def test_jitter_turns_the_hue():
    image = np.array([[[200, 0, 0]]], np.uint8)
    for order, picture in (('rgb', image), ('bgr', image[..., ::-1])):
        for turn in (1 / 3, -2 / 3):
            found = T.MultiImgColorJitter._distort(picture, [('hue', turn)],
                                                   order)
            np.testing.assert_allclose(found, [[[0, 200, 0]]], atol=6)
    np.testing.assert_array_equal(*jitter_alone('hue', 0.3, bands=1))


def test_jitter_draws_every_factor_in_every_order():
    jitter = T.MultiImgColorJitter(0.1, 0.2, 0.3, 0.4)
    with seeded(0):
        drawn = [jitter._draw() for _ in range(400)]
    assert len({tuple(name for name, _ in steps) for steps in drawn}) == 24
    limits = dict(Brightness=(.9, 1.1), Contrast=(.8, 1.2), Color=(.7, 1.3),
                  hue=(-.4, .4))
    for name, (low, high) in limits.items():
        values = np.array([dict(steps)[name] for steps in drawn])
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high


def test_jitter_is_shared_or_apart_and_leaves_sar():
    sample = _sample()
    sample['img'][2] = sample['img'][0]
    for shared in (True, False):
        with seeded(1):
            first, sar, third = T.MultiImgColorJitter(shared=shared)(
                dict(sample))['img']
        assert (first == third).all() == shared
        assert sar is sample['img'][1]
        assert (first != sample['img'][0]).any()


def test_jitter_leaves_samples_by_its_probability():
    sample = _sample()
    kept = 0
    for seed in range(200):
        with seeded(seed):
            after = T.MultiImgColorJitter(prob=0.3)(dict(sample))
        kept += after['img'][0] is sample['img'][0]
    assert 110 <= kept <= 170


@pytest.mark.parametrize('dtype, bands, text', [
    (np.uint16, 3, 'found uint16 with 3'), (np.uint8, 6, 'found uint8 with 6')
])
def test_jitter_refuses_what_it_does_not_know(dtype, bands, text):
    sample = _sample(dtype, bands=(bands, 1, 3))
    with pytest.raises(ValueError, match=text):
        T.MultiImgColorJitter()(sample)


@pytest.mark.parametrize('kind, kwargs, text', [
    (T.MultiImgColorJitter, dict(contrast=1.2), 'contrast must be'),
    (T.MultiImgColorJitter, dict(hue=0.6), 'hue must be from 0 to 0.5'),
    (T.MultiImgPhotoMetricDistortion, dict(contrast_range=(1.2, 0.8)),
     r'contrast_range must be .*found \(1.2, 0.8\)'),
    (T.MultiImgPhotoMetricDistortion, dict(hue_delta=100), 'found 32 and 100'),
    (T.MultiImgPhotoMetricDistortion, dict(sensors=['radar']), 'radar'),
    (T.MultiImgGaussianBlur, dict(prob=2), 'found 2'),
    (T.MultiImgGaussianBlur, dict(sigma=(-1, 1)), 'sigma must be'),
])
def test_bad_options_are_echoed(kind, kwargs, text):
    with pytest.raises(ValueError, match=text):
        kind(**kwargs)
