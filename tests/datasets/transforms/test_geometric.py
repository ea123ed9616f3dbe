import numpy as np
import pytest

from opencd_gold.datasets import transforms as T
from opencd_gold.datasets.change_dataset import seeded


def _sample(height=12, width=12, types=(np.uint8, np.uint16, np.float32),
            bands=(3, 1, 6)):
    """Images and label that all show the same map of 0 and 1."""
    rng = np.random.default_rng(0)
    label = np.kron(rng.integers(0, 2, (height // 4, width // 4)),
                    np.ones((4, 4))).astype(np.uint8)
    return dict(
        img=[
            np.repeat(label[..., None], count, axis=2).astype(dtype) * 100
            for dtype, count in zip(types, bands)
        ],
        img_path=['a', 'b', 'c'],
        seg_map_path='label',
        gt_seg_map=label,
        seg_fields=['gt_seg_map'])


GEOMETRY = [
    (T.MultiImgResize, dict(scale=(24, 36))),
    (T.MultiImgResize, dict(scale_factor=2.)),
    (T.MultiImgRandomResize, dict(scale=(12, 12), ratio_range=(2, 2))),
    (T.MultiImgRandomCrop, dict(crop_size=(5, 7), cat_max_ratio=0.8)),
    (T.MultiImgRandomFlip, dict(prob=0.7, direction=['horizontal',
                                                     'vertical'])),
    (T.MultiImgRandomRotate, dict(prob=1., degree=180)),
    (T.MultiImgRandomRotate, dict(prob=1., degree=45, auto_bound=True)),
    (T.MultiImgRandomRotFlip, dict()),
    (T.MultiImgPad, dict(size=(20, 14))),
]


@pytest.mark.parametrize('kind, kwargs', GEOMETRY)
def test_images_and_label_move_together(kind, kwargs):
    transform = kind(**kwargs)
    for seed in range(8):
        before = _sample()
        kept = [image.copy() for image in before['img']]
        with seeded(seed):
            after = transform(dict(before))
        label = after['gt_seg_map']
        assert label.dtype == np.uint8
        assert set(np.unique(label)) <= {0, 1, 255}
        for image, old in zip(after['img'], kept):
            assert image.dtype == old.dtype
            assert image.shape == (*label.shape, old.shape[2])
            # OpenCV rounds to 1/32 pixel for some numbers of bands.
            assert np.abs(image - 1. * image[..., :1]).max() < 100 / 32
            known = label != 255
            # Interpolated edges apart, pixels are where the label is.
            agree = (image[..., 0] > 50) == (label == 1)
            assert agree[known].mean() > 0.85
        assert tuple(after['img_shape']) == label.shape \
            if 'img_shape' in after else label.shape == (12, 12)
        np.testing.assert_array_equal(before['img'][0], kept[0])


@pytest.mark.parametrize('kind, kwargs', GEOMETRY)
def test_sizes_that_differ_are_refused(kind, kwargs):
    sample = _sample()
    sample['img'][1] = sample['img'][1][:8]
    with pytest.raises(ValueError, match='a 12 x 12, b 8 x 12'):
        kind(**kwargs)(sample)


def test_resize():
    sample = T.MultiImgResize(scale=(6, 30), keep_ratio=True)(
        _sample(8, 4))
    assert sample['img'][0].shape == (12, 6, 3)
    assert sample['scale_factor'] == (1.5, 1.5)
    image = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
    half = T.MultiImgResize(scale_factor=0.5)(dict(img=[image]))['img'][0]
    np.testing.assert_allclose(half[..., 0], [[2.5, 4.5], [10.5, 12.5]])
    with pytest.raises(ValueError, match='scale=None, scale_factor=None'):
        T.MultiImgResize()
    with pytest.raises(ValueError, match="found 'pillow'"):
        T.MultiImgResize(scale=4, backend='pillow')


def test_random_resize():
    resize = T.MultiImgRandomResize([20, 20], (1.0, 1.2))
    sizes = set()
    for seed in range(30):
        with seeded(seed):
            sizes.add(resize(_sample())['img_shape'])
    assert sizes == {(side, side) for side in (20, 21, 22, 23)}
    resize = T.MultiImgRandomResize([(4, 8), (6, 9)])
    with seeded(0):
        height, width = resize(_sample())['img_shape']
    assert 8 <= height <= 9
    assert 4 <= width <= 6
    for bad in (dict(scale=(4, 4)), dict(scale=[(4, 4), (5, 5)],
                                         ratio_range=(1, 2))):
        with pytest.raises(ValueError, match='two scales without'):
            T.MultiImgRandomResize(**bad)


def test_crop_looks_for_mixed_windows_and_leaves_ignored_pixels_out():
    label = np.zeros((32, 32), np.uint8)
    label[:, 16:] = 255
    label[:4, :16] = 1
    sample = dict(img=[np.zeros((32, 32, 1))], gt_seg_map=label,
                  seg_fields=['gt_seg_map'])
    crop = T.MultiImgRandomCrop(8, cat_max_ratio=0.9)
    mixed = 0
    for seed in range(20):
        with seeded(seed):
            window = crop(dict(sample))['gt_seg_map']
        counts = [(window == value).sum() for value in (0, 1)]
        mixed += max(counts) < 0.9 * sum(counts)
    with seeded(0):
        alone = sum(
            (T.MultiImgRandomCrop(8)(dict(sample))['gt_seg_map'] == 1).any()
            for _ in range(20))
    assert alone < 10 < mixed


def test_crop_leaves_a_small_image_alone_and_needs_the_label():
    sample = T.MultiImgRandomCrop(64)(_sample(8, 12))
    assert sample['img_shape'] == (8, 12)
    sample = _sample()
    del sample['gt_seg_map'], sample['seg_fields']
    with pytest.raises(ValueError, match='cat_max_ratio=0.5 needs the label'):
        T.MultiImgRandomCrop(4, cat_max_ratio=0.5)(sample)
    with pytest.raises(ValueError, match='crop_size must be .* found 0'):
        T.MultiImgRandomCrop(0)


@pytest.mark.parametrize('steps, total', [
    (['horizontal'], 'horizontal'), (['vertical'], 'vertical'),
    (['horizontal', 'vertical'], 'diagonal'),
    (['diagonal', 'vertical'], 'horizontal'),
    (['horizontal', 'horizontal'], None)])
def test_flips_add_up(steps, total):
    plain = _sample()
    sample = _sample()
    for direction in steps:
        sample = T.MultiImgRandomFlip(1., direction)(sample)
    sample = T.MultiImgRandomFlip(0., 'vertical')(sample)
    assert sample['flip'] == (total is not None)
    assert sample['flip_direction'] == total
    rows = slice(None, None, -1 if total in ('vertical', 'diagonal') else 1)
    columns = slice(None, None,
                    -1 if total in ('horizontal', 'diagonal') else 1)
    for image, old in zip(sample['img'], plain['img']):
        np.testing.assert_array_equal(image, old[rows, columns])
    np.testing.assert_array_equal(sample['gt_seg_map'],
                                  plain['gt_seg_map'][rows, columns])


def test_flip_probabilities():
    flip = T.MultiImgRandomFlip([0.3, 0.2], ['horizontal', 'vertical'])
    with seeded(0):
        found = [flip(_sample())['flip_direction'] for _ in range(1000)]
    # Four standard deviations of a binomial count.
    for name, share in ((None, .5), ('horizontal', .3), ('vertical', .2)):
        assert abs(found.count(name) - 1000 * share) < 4 * (
            1000 * share * (1 - share))**.5
    for bad in (dict(prob=1.2), dict(prob=[0.7, 0.7],
                                     direction=['horizontal', 'vertical'])):
        with pytest.raises(ValueError, match='prob must be'):
            T.MultiImgRandomFlip(**bad)
    with pytest.raises(ValueError, match="found 'up'"):
        T.MultiImgRandomFlip(0.5, 'up')


def test_rotation_is_clockwise_and_ignores_the_corners():
    sample = T.MultiImgRandomRotate(1., (90, 90))(_sample())
    for image, old in zip(sample['img'], _sample()['img']):
        np.testing.assert_allclose(image, np.rot90(old, -1), atol=1e-3)
    sample = _sample()
    sample['img'] = [image + 1 for image in sample['img']]
    sample = T.MultiImgRandomRotate(1., (45, 45), pad_val=9)(sample)
    for place in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert sample['gt_seg_map'][place] == 255
        for image in sample['img']:
            assert (image[place] == 9).all()
    with pytest.raises(ValueError, match='found -4'):
        T.MultiImgRandomRotate(1., -4)


def test_eight_positions_are_as_likely():
    turn = T.MultiImgRandomRotFlip(rotate_prob=0., flip_prob=1.)
    image = np.arange(4, dtype=np.uint8).reshape(2, 2, 1)
    with seeded(0):
        found = [
            tuple(turn(dict(img=[image]))['img'][0].ravel())
            for _ in range(800)
        ]
    counts = [found.count(position) for position in set(found)]
    assert len(counts) == 8
    assert max(abs(count - 100) for count in counts) < 4 * (
        800 * 1 / 8 * 7 / 8)**.5


def test_long_images_keep_their_size():
    turn = T.MultiImgRandomRotFlip(rotate_prob=0., flip_prob=1.)
    for seed in range(8):
        with seeded(seed):
            assert turn(_sample(8, 12))['gt_seg_map'].shape == (8, 12)


@pytest.mark.parametrize('kwargs, shape', [
    (dict(size=(20, 14)), (14, 20)), (dict(size_divisor=8), (8, 16)),
    (dict(pad_to_square=True), (12, 12))])
def test_pad(kwargs, shape):
    sample = T.MultiImgPad(**kwargs)(_sample(8, 12))
    assert sample['pad_shape'] == shape == sample['gt_seg_map'].shape
    before = _sample(8, 12)
    np.testing.assert_array_equal(sample['gt_seg_map'][:8, :12],
                                  before['gt_seg_map'])
    assert (sample['gt_seg_map'] == 255).sum() == shape[0] * shape[1] - 96
    for image, old in zip(sample['img'], before['img']):
        np.testing.assert_array_equal(image[:8, :12], old)
        assert image.sum() == old.sum()


def test_pad_refusals():
    with pytest.raises(ValueError, match='8 x 12 cannot be padded to 8 x 8'):
        T.MultiImgPad(size=(8, 8))(_sample(8, 12))
    with pytest.raises(ValueError, match='size=None, size_divisor=None'):
        T.MultiImgPad()
    with pytest.raises(ValueError, match="found \\['label'\\]"):
        T.MultiImgPad(size=4, pad_val=dict(label=1))


def test_exchange_of_dates():
    sample = _sample()
    sample = dict(img=sample['img'][:2], img_path=['a', 'b'],
                  sensors=['optical', 'optical'])
    after = T.MultiImgExchangeTime(1.)(dict(sample))
    assert after['img_path'] == ['b', 'a']
    assert after['img'][0] is sample['img'][1]
    assert T.MultiImgExchangeTime(0.)(dict(sample))['img_path'] == ['a', 'b']
    for sensors in (['optical', 'sar'], ['optical'] * 3):
        with pytest.raises(ValueError, match='two images of one sensor'):
            T.MultiImgExchangeTime(0.5)(sample | dict(sensors=sensors))
        T.MultiImgExchangeTime(0.)(sample | dict(sensors=sensors))
