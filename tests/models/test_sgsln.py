"""SGSLN keeps the contract: encoders shared or not, one output or two."""
import pytest
import torch
from models.contract import DetectorContract
from models.forms import check_forms, read

from opencd_gold.models.backbones import SGSLNEncoder
from opencd_gold.models.decode_heads.sgsln_head import soft_labels
from opencd_gold.models.layers import ChannelExchange
from opencd_gold.models.layers.pooled_attention import channel_kernel

RECIPE = 'sgsln/sgsln_1xb16-500e_levir-cd-256x256.py'
PLAIN = RECIPE.replace('sgsln_', 'sgsln-plain-for-comparison_')
# The contract compares with logits of unpadded images.
UNPADDED = {'model.data_preprocessor.test_cfg': None}


class TestSGSLN(DetectorContract):
    config = RECIPE
    overrides = UNPADDED


class TestTwoSensorsAndOutputs(DetectorContract):
    config = 'sgsln/sgsln_1xb8-1500_ombria-256x256.py'
    overrides = {
        **UNPADDED,
        'model.decode_head.out_channels': 2,
        'model.decode_head.threshold': None
    }


def test_the_fast_form_is_the_plain_one():
    check_forms(RECIPE, PLAIN)


def test_the_plain_config_does_nothing_clever():
    plain = read(PLAIN)
    assert plain.neck.plain and plain.decode_head.plain
    assert not plain.batch_dates and not plain.channels_last


def test_units_shuffle_channels():
    """Even channels are convolved and go first, odd ones pass."""
    encoder = SGSLNEncoder(base_channels=8, dropout=0.).eval()
    x = torch.randn(1, 8, 6, 6)
    unit = encoder.stages[0][1]
    out = unit(x)
    torch.testing.assert_close(out[:, :4], unit.conv(x[:, [0, 2, 4, 6]]))
    assert torch.equal(out[:, 4:], x[:, [1, 3, 5, 7]])


def test_even_channels_stay_with_their_date():
    a, b = torch.zeros(1, 4, 2, 2), torch.ones(1, 4, 2, 2)
    first, second = ChannelExchange(offset=1)(a, b)
    assert first[0, :, 0, 0].tolist() == [0, 1, 0, 1]
    assert second[0, :, 0, 0].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize('size', [(32, 32), (33, 47)])
def test_stages(size):
    outs = SGSLNEncoder(base_channels=8, out_indices=range(5))(
        torch.randn(2, 3, *size))
    height, width = size
    for index, out in enumerate(outs):
        assert out.shape == (2, 8 * 2**index, height, width)
        height, width = -(-height // 2), -(-width // 2)


def test_base_channels_are_checked():
    with pytest.raises(ValueError, match='multiple of 4, got 6'):
        SGSLNEncoder(base_channels=6)


def test_weights_keep_pytorchs_initialisation():
    encoder = SGSLNEncoder()
    before = encoder.stages[4].merge.conv.weight.clone()
    encoder.init_weights()
    after = encoder.stages[4].merge.conv.weight
    assert torch.equal(before, after)
    bound = (512 * 9)**-0.5  # Kaiming, uniform, a = sqrt(5)
    assert 0.99 * bound < after.abs().max() <= bound


def test_kernels_along_the_channels():
    sizes = [channel_kernel(width) for width in (32, 64, 128, 256, 512)]
    assert sizes == [3, 3, 5, 5, 5]


def test_soft_labels_leave_out_what_is_ignored():
    target = torch.tensor([[[1, 0, 1, 1], [0, 0, 255, 255],
                            [255, 255, 0, 1], [255, 255, 255, 0]]])
    soft = soft_labels(target, (2, 2))
    torch.testing.assert_close(
        soft, torch.tensor([[[0.25, 1.], [255., 1 / 3]]]))
