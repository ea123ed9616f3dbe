"""Statistics follow the images when the dates are exchanged."""
import numpy as np
import torch

from opencd_gold.datasets.transforms import (
    MultiImgExchangeTime,
    MultiImgPackSegInputs,
)
from opencd_gold.models import ChangeDataPreProcessor


def packed(prob):
    images = [np.full((4, 4, 3), value, np.uint8) for value in (10, 40)]
    sample = MultiImgExchangeTime(prob)(
        dict(img=images, img_path=['a.png', 'b.png'],
             sensors=['optical', 'optical']))
    return MultiImgPackSegInputs()(sample)


def test_each_image_keeps_its_own():
    preprocessor = ChangeDataPreProcessor(
        (3, 3), mean=[10., 30.], std=[1., 5.])
    batch = [packed(0.), packed(1.)]
    assert batch[1]['data_samples'].img_path == ['b.png', 'a.png']
    out = preprocessor(
        {key: [sample[key] for sample in batch]
         for key in ('inputs', 'data_samples')})['inputs']
    expected = torch.tensor([[0.] * 3 + [2.] * 3, [2.] * 3 + [0.] * 3])
    torch.testing.assert_close(out[:, :, 0, 0], expected)


def test_two_exchanges_are_none():
    sample = dict(img=[np.zeros((2, 2, 3), np.uint8)] * 2,
                  img_path=['a', 'b'])
    twice = MultiImgExchangeTime(1.)(MultiImgExchangeTime(1.)(sample))
    assert twice['img_path'] == ['a', 'b']
    assert not twice['exchanged']
