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


@pytest.mark.parametrize('kind, kwargs, text', [
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
