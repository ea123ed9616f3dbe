"""Changer: exchange between stages, alignment, hard pixels; the contract."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmseg.models.backbones import (
    MixVisionTransformer,
    ResNet,
    ResNetV1c,
    VisionTransformer,
)
from models.contract import DetectorContract

from opencd_gold.models.backbones import EfficientNetLite
from opencd_gold.models.layers import (
    AggregationDistribution,
    ChannelExchange,
    SpatialExchange,
    stages_of,
)
from opencd_gold.models.losses import HardPixelCrossEntropyLoss
from opencd_gold.models.necks import FlowDualAlignment
from opencd_gold.models.necks.flow_dual_alignment import warp
from opencd_gold.registry import MODELS

NARROW = dict(
    embed_dims=8, num_layers=[1, 1, 1, 1], num_heads=[1, 2, 5, 8])


class TestMixTransformer(DetectorContract):
    config = 'changer/changer-mit-b0_1xb8-200k_jl1cd-512x512.py'
    overrides = {'model.backbone.init_cfg': None}
    # mmsegmentation's has no option that freezes a part of it.
    test_frozen_part_stays = None


class TestResNet(DetectorContract):
    config = 'changer/changer-r18_1xb8-200k_jl1cd-512x512.py'


class TestEfficientNetLite(DetectorContract):
    """Reads a guide in the data and ignores it."""

    config = 'changer/changer-efflite0_1xb8-1500_ombria-ac-256x256.py'
    overrides = {'model.backbone.pretrained': False}


@pytest.mark.parametrize('backbone', [
    MixVisionTransformer(**NARROW),
    ResNetV1c(depth=18, base_channels=8, stem_channels=8),
    ResNet(depth=18, base_channels=8, stem_channels=8),
    EfficientNetLite()
], ids=lambda backbone: type(backbone).__name__)
def test_stages_in_turn_are_the_encoder(backbone):
    x = torch.randn(2, 3, 64, 64)
    backbone.eval()
    with torch.no_grad():
        expected = backbone(x)
        for stage, value in zip(stages_of(backbone), expected):
            x = stage(x)
            assert torch.equal(x, value)
    assert len(stages_of(backbone)) == len(expected) == 4


def test_an_encoder_without_known_stages_is_refused():
    with pytest.raises(TypeError, match='VisionTransformer cannot be run'):
        stages_of(VisionTransformer(img_size=32, embed_dims=8, num_layers=1,
                                    num_heads=1))


@pytest.mark.parametrize('p', [0, -0.5, 1.5])
@pytest.mark.parametrize('layer', [SpatialExchange, ChannelExchange])
def test_impossible_shares_are_refused(layer, p):
    with pytest.raises(ValueError, match=f'{layer.__name__}: p must be'):
        layer(p)


def test_exchange_twice_changes_nothing():
    pair = torch.randn(2, 2, 5, 4, 6).unbind()
    for layer in (SpatialExchange(1 / 3), ChannelExchange(1 / 3)):
        once = layer(*pair)
        assert not torch.equal(once[0], pair[0])
        for value, original in zip(layer(*once), pair):
            assert torch.equal(value, original)


def test_aggregation_distribution_shares_each_channel_out():
    """Weights of both dates sum to one, so equal dates sum to one date."""
    layer = AggregationDistribution(16)
    x = torch.randn(3, 16, 4, 4)
    first, second = layer(x, x)
    torch.testing.assert_close(first + second, x)
    assert not torch.allclose(first, second)


def build(**options):
    init_default_scope('opencd_gold')
    model = dict(
        type='InteractingDetector',
        data_preprocessor=dict(
            type='ChangeDataPreProcessor', channels=(3, 3)),
        backbone=dict(type='mmseg.MixVisionTransformer', **NARROW),
        stage_interactions=[None] * 4,
        neck=dict(
            type='MultiScaleFusion', in_channels=[8, 16, 40, 64],
            channels=8),
        decode_head=dict(type='MixFFNHead', in_channels=8))
    return MODELS.build({**model, **options})


def test_what_is_exchanged_feeds_the_next_stage():
    """With all channels swapped after stage 2, later stages swap dates."""
    plain = build().eval()
    swapping = build(stage_interactions=[
        None, dict(type='ChannelExchange', p=1), None, None]).eval()
    swapping.load_state_dict(plain.state_dict())
    inputs = torch.randn(2, 6, 64, 64)
    with torch.no_grad():
        one, other = plain.extract_feat(inputs), swapping.extract_feat(inputs)
    for stage in range(4):
        for date in range(2):
            source = one[date if stage == 0 else 1 - date][stage]
            torch.testing.assert_close(other[date][stage], source)


def test_two_encoders_interact():
    """An optical and a SAR encoder of their own, one band each."""
    backbone = dict(type='mmseg.MixVisionTransformer', **NARROW)
    neck = dict(
        type='MultiScaleFusion', in_channels=[8, 16, 40, 64], channels=8)
    model = build(
        data_preprocessor=dict(
            type='ChangeDataPreProcessor', channels=(3, 1)),
        backbone_to=dict(in_channels=1, **backbone),
        neck_to=neck,
        stage_interactions=[
            None, None, None, dict(type='AggregationDistribution',
                                   channels=64)
        ])
    inputs = torch.randn(2, 4, 64, 64)
    loss = model.forward_branch(inputs).logits.pow(2).sum()
    loss.backward()
    for encoder in (model.backbone, model.backbone_to):
        gradient = encoder.layers[0][0].projection.weight.grad
        assert gradient.abs().max() > 0


def test_one_entry_a_stage():
    with pytest.raises(ValueError, match='has 3 entries, expected 4'):
        build(stage_interactions=[None] * 3)
    with pytest.raises(ValueError, match='compile_cfg=None'):
        build(compile_cfg=dict(mode='default'))


def test_flow_of_two_moves_almost_one_pixel():
    """On a map 8 wide, flow 2 is 2/8 of half the width of 7 pixels."""
    ramp = torch.arange(8.).view(1, 1, 1, 8).expand(1, 1, 3, 8)
    flow = torch.zeros(1, 2, 3, 8)
    flow[:, 0] = 2
    moved = warp(ramp, flow)
    torch.testing.assert_close(moved[0, 0, 1, :7], torch.arange(7.) + 0.875)


def test_equal_dates_without_flow_leave_nothing():
    block = FlowDualAlignment(4)
    block.flow[-1].weight.data.zero_()
    x = torch.randn(2, 4, 6, 6)
    for value in block(x, x):
        torch.testing.assert_close(value, torch.zeros_like(x), atol=1e-5,
                                   rtol=0)


def test_hard_pixels_by_hand():
    """Five pixels and an ignored one, over all six."""
    p = torch.tensor([0.9, 0.8, 0.6, 0.3, 0.2, 0.1])
    logits = torch.stack([p.log(), (1 - p).log()]).view(1, 2, 2, 3)
    target = torch.tensor([[[0, 0, 0], [0, 0, 255]]])
    entropy = -p.log()

    def value(**options):
        return HardPixelCrossEntropyLoss(**options)(logits, target)

    # Of five valid pixels the third smallest is 0.6, below 0.7.
    torch.testing.assert_close(
        value(thresh=0.7, min_kept=2), entropy[2:5].sum() / 6)
    # Strictly below: two are kept.
    torch.testing.assert_close(
        value(thresh=0.1, min_kept=2), entropy[3:5].sum() / 6)
    torch.testing.assert_close(
        value(thresh=0.1, min_kept=3), entropy[2:5].sum() / 6)
    # More than there are: up to the largest, which is not below itself.
    torch.testing.assert_close(
        value(thresh=0.1, min_kept=9, loss_weight=2.),
        2 * entropy[1:5].sum() / 6)


def test_hard_pixels_of_nothing_are_zero():
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    target = torch.full((1, 4, 4), 255)
    loss = HardPixelCrossEntropyLoss()(logits, target)
    loss.backward()
    assert loss == 0
    assert torch.isfinite(logits.grad).all()


def test_hard_pixels_of_one_channel():
    """Sigmoid z is softmax of (0, z)."""
    z = torch.randn(2, 1, 4, 4)
    target = (torch.rand(2, 4, 4) < 0.5).long()
    loss = HardPixelCrossEntropyLoss(thresh=1.1)(z, target)
    expected = F.binary_cross_entropy_with_logits(z[:, 0], target.float())
    torch.testing.assert_close(loss, expected)
    with pytest.raises(ValueError, match='min_kept must be at least 2'):
        HardPixelCrossEntropyLoss(min_kept=1)
