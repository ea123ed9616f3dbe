import numpy as np
import pytest

from opencd_gold.datasets import transforms as T
from opencd_gold.datasets.change_dataset import seeded


def _sample(size=(16, 16), dtype=np.uint8):
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, (*size, bands)).astype(dtype)
        for bands in (3, 1, 6)
    ]
    label = rng.integers(0, 2, size).astype(np.uint8)
    return dict(img=images, gt_seg_map=label, seg_fields=['gt_seg_map'],
                img_shape=size)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize('transform', [
    T.MultiImgRandomAffine(1., 45, (0.9, 1.1), 0.0625),
    T.MultiImgRandomTranspose(1.),
    T.MultiImgRandomZoom(1., 0.25)])
def test_types_bands_and_sizes_are_kept(transform, dtype):
    with seeded(1):
        after = transform(_sample(dtype=dtype))
    before = _sample(dtype=dtype)
    for image, old in zip(after['img'], before['img']):
        assert image.shape == old.shape
        assert image.dtype == dtype
        assert (image != old).any()
    assert after['gt_seg_map'].dtype == np.uint8
    assert after['gt_seg_map'].shape == (16, 16)


def test_nothing_happens_without_probability():
    for transform in (T.MultiImgRandomAffine(0.),
                      T.MultiImgRandomTranspose(0.),
                      T.MultiImgRandomZoom(0.)):
        after = transform(_sample())
        for image, old in zip(after['img'], _sample()['img']):
            np.testing.assert_array_equal(image, old)


def test_a_quarter_turn_is_exact():
    """About the middle, (w / 2 - 0.5, h / 2 - 0.5)."""
    matrix = T.MultiImgRandomAffine.matrix(16, 16, 90, 1., (0., 0.))
    corner = matrix @ np.array([15, 0, 1])  # the upper right one
    np.testing.assert_allclose(corner, [0, 0], atol=1e-9)


def test_shift_is_a_share_of_each_side():
    matrix = T.MultiImgRandomAffine.matrix(20, 10, 0, 1., (0.1, -0.25))
    np.testing.assert_allclose(matrix, [[1, 0, 1], [0, 1, -5]], atol=1e-9)


def test_borders(monkeypatch):
    for border in ('reflect', 'ignore'):
        transform = T.MultiImgRandomAffine(1., border=border)
        monkeypatch.setattr(transform, '_draw',
                            lambda: (True, 0., 1., (0.25, 0.)))
        sample = _sample()
        old = sample['gt_seg_map'].copy()
        after = transform(sample)['gt_seg_map']
        np.testing.assert_array_equal(after[:, 4:], old[:, :12])
        if border == 'reflect':
            np.testing.assert_array_equal(after[:, :4], old[:, 4:0:-1])
        else:
            assert (after[:, :4] == 255).all()


def test_transpose_of_an_oblong_image():
    after = T.MultiImgRandomTranspose(1.)(_sample((8, 16)))
    before = _sample((8, 16))
    assert after['img_shape'] == (16, 8)
    np.testing.assert_array_equal(after['gt_seg_map'],
                                  before['gt_seg_map'].T)
    np.testing.assert_array_equal(after['img'][2][:, :, 5],
                                  before['img'][2][:, :, 5].T)


def test_zoom_shows_the_middle(monkeypatch):
    transform = T.MultiImgRandomZoom(1.)
    monkeypatch.setattr(transform, '_draw', lambda *_: (4, 0))
    sample = _sample()
    label = sample['gt_seg_map'].copy()
    after = transform(sample)
    np.testing.assert_array_equal(after['gt_seg_map'],
                                  np.repeat(label[4:12], 2, axis=0))


def test_zoom_cuts_up_to_60_of_512():
    transform = T.MultiImgRandomZoom(1.)
    with seeded(0):
        cuts = [transform._draw(512, 512) for _ in range(2000)]
    assert np.min(cuts) == 0
    assert np.max(cuts) == 60


@pytest.mark.parametrize('kind, kwargs, found', [
    (T.MultiImgRandomAffine, dict(prob=1, border='x'), "found 'x'"),
    (T.MultiImgRandomAffine, dict(prob=1, shift=1), 'found 45 and 1'),
    (T.MultiImgRandomAffine, dict(prob=2), 'found 2'),
    (T.MultiImgRandomZoom, dict(max_share=0.5), 'found 0.5')])
def test_refused(kind, kwargs, found):
    with pytest.raises(ValueError, match=found):
        kind(**kwargs)
