import numpy as np
import pytest

from opencd_gold.datasets import transforms as T
from opencd_gold.datasets.change_dataset import seeded
from opencd_gold.datasets.transforms.photometric_choice import CHANGES


def _sample(dtype=np.uint8, value=None):
    rng = np.random.default_rng(0)
    image = rng.integers(40, 200, (16, 16, 3)).astype(dtype)
    if value is not None:
        image[:] = value
    return dict(img=[image, image[..., :1].copy(), image.copy()],
                sensors=['optical', 'sar', 'optical'], color_order='rgb')


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize('kind', CHANGES)
def test_both_dates_change_alike(kind, dtype):
    before = _sample(dtype)
    with seeded(3):
        after = T.MultiImgRandomPhotometric(1., [kind])(_sample(dtype))
    np.testing.assert_array_equal(after['img'][1], before['img'][1])
    np.testing.assert_array_equal(after['img'][0], after['img'][2])
    assert after['img'][0].dtype == dtype
    assert (after['img'][0] != before['img'][0]).any()


def shifts(kind):
    """How far a flat image of 100 moves, for many draws."""
    found = []
    for seed in range(60):
        with seeded(seed):
            after = T.MultiImgRandomPhotometric(1., [kind])(
                _sample(value=100))
        found.append(np.abs(after['img'][0].astype(int) - 100).max())
    return max(found)


@pytest.mark.parametrize('kind, most', [
    ('brightness_contrast', 0.2 * 100 + 0.2 * 255),
    ('gamma', 255 * (100 / 255)**0.8 - 100),
    # A grey of value 80 with the largest saturation.
    ('hue_saturation_value', 100 - 80 * (1 - 30 / 255))])
def test_strength_on_a_flat_image(kind, most):
    assert 0.6 * most < shifts(kind) <= most + 1


@pytest.mark.parametrize('kind', ['motion_blur', 'emboss'])
def test_filters_sum_to_one(kind):
    assert shifts(kind) <= 1


def test_variance_of_the_noise():
    for seed in range(5):
        sample = _sample(np.float32, value=100)
        sample['img'] = [np.full((200, 200, 3), 100, np.float32)]
        sample['sensors'] = ['optical']
        with seeded(seed):
            image, = T.MultiImgRandomPhotometric(
                1., ['gaussian_noise'])(sample)['img']
        assert 9 < image.var() < 52


def test_choice_and_probability():
    same = 0
    for seed in range(200):
        with seeded(seed):
            after = T.MultiImgRandomPhotometric(0.3)(_sample())
        same += (after['img'][0] == _sample()['img'][0]).all()
    assert 120 < same < 165


def test_refused():
    with pytest.raises(ValueError, match='rain'):
        T.MultiImgRandomPhotometric(kinds=['rain'])
    with pytest.raises(ValueError, match=r'found \[\]'):
        T.MultiImgRandomPhotometric(kinds=[])
