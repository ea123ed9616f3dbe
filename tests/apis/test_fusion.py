"""A fused model predicts what it predicted before."""
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, fuse_conv_bn
from mmseg.models.backbones.resnet import BasicBlock, Bottleneck
from torch import nn

from opencd_gold.apis import init_model, prepare_for_inference
from opencd_gold.apis.fusion import _fuse_block, _fuse_relu
from opencd_gold.models.layers import ConvReLU2d, ResidualReLU

CONFIGS = Path(__file__).parents[2] / 'configs/gold'
LIGHT = 'gold_r18-light_4xb8-100k_hcd3s-512x512.py'
NORMS = nn.modules.batchnorm._BatchNorm


def lived_in(config, **kwargs):
    """A model whose batch norms are not the identity."""
    torch.manual_seed(0)
    model = init_model(CONFIGS / config, **kwargs)
    for module in model.modules():
        if isinstance(module, NORMS):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.7, 1.4)
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, std=0.1)
    return model


def logits(model, bands=6):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(2, bands, 64, 96, generator=generator)
    with torch.inference_mode():
        return model(inputs, mode='tensor')


def test_logits_stay_and_norms_go():
    model = lived_in(LIGHT)
    before = logits(model)
    assert prepare_for_inference(model) is model
    after = logits(model)
    scale = before.abs().max().item()
    torch.testing.assert_close(after, before, rtol=0, atol=1e-4 * scale)
    student = (model.backbone, model.backbone_to, model.neck, model.neck_to,
               model.decode_head)
    assert not any(isinstance(m, NORMS) for s in student for m in s.modules())
    assert isinstance(model.backbone.stem[0], ConvReLU2d)
    assert isinstance(model.neck.lateral_convs[0].conv, ConvReLU2d)
    assert isinstance(model.decode_head.cls[0], ConvReLU2d)
    assert isinstance(model.backbone.layer2[0], ResidualReLU)
    assert not any(p.requires_grad for p in model.parameters())


def test_bfloat16_weights_and_float32_logits():
    options = {'model.test_cfg.precision': 'bfloat16'}
    model = lived_in(LIGHT, cfg_options=options)
    before = logits(model)
    after = logits(prepare_for_inference(model))
    assert model.backbone.stem[0].weight.dtype is torch.bfloat16
    assert before.dtype is after.dtype is torch.float32
    scale = before.abs().max().item()
    # Eight bits of mantissa, over some twenty layers.
    torch.testing.assert_close(after, before, rtol=0, atol=0.05 * scale)


def test_depthwise_network_with_other_activations():
    options = {
        'model.backbone.pretrained': False,
        'model.backbone_to.pretrained': False,
        'model.test_cfg.precision': 'float32',
    }
    model = lived_in(
        'gold_efflite0_1xb8-1500_ombria-256x256.py', cfg_options=options)
    before = logits(model, 4)
    after = logits(prepare_for_inference(model), 4)
    scale = before.abs().max().item()
    torch.testing.assert_close(after, before, rtol=0, atol=1e-4 * scale)


def test_residual_blocks_of_three_convolutions():
    norm_cfg = dict(type='BN')
    block = Bottleneck(8, 2, stride=2, norm_cfg=norm_cfg,
                       downsample=nn.Conv2d(8, 8, 1, stride=2))
    fused = _fuse_block(fuse_conv_bn(block.eval().requires_grad_(False)))
    assert isinstance(fused, ResidualReLU)
    x = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(fused(x), block(x))


def test_group_norm_is_left_alone():
    norm_cfg = dict(type='GN', num_groups=2)
    block = nn.Sequential(BasicBlock(4, 4, norm_cfg=norm_cfg))
    _fuse_relu(block)
    assert type(block[0]) is BasicBlock
    conv = ConvModule(4, 4, 3, norm_cfg=norm_cfg)
    _fuse_relu(conv)
    assert type(conv.conv) is nn.Conv2d and conv.with_activation


def test_init_model_fuses():
    model = init_model(CONFIGS / LIGHT, fuse=True)
    assert isinstance(model.backbone.stem[0], ConvReLU2d)
    assert not model.training


def test_a_network_that_calls_in_another_order_is_refused():

    class Swapped(nn.Module):
        """Holds conv, norm and calls norm, conv."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.norm = nn.BatchNorm2d(3)
            nn.init.constant_(self.norm.running_mean, 2.)

        def forward(self, x):
            return self.conv(self.norm(x))

    model = lived_in(LIGHT)
    model.backbone.stem.insert(0, Swapped())
    with pytest.raises(ValueError, match='cannot be fused.*order'):
        prepare_for_inference(model)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('groups', [1, 2])
@pytest.mark.parametrize('layout',
                         [torch.contiguous_format, torch.channels_last])
def test_conv_relu(dtype, groups, layout):
    conv = nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2, groups=groups)
    conv = conv.to(dtype, memory_format=layout).requires_grad_(False)
    x = torch.randn(2, 4, 9, 11).to(dtype, memory_format=layout)
    expected = F.relu(conv(x))
    assert (expected == 0).any() and (expected > 0).any()
    fused = ConvReLU2d.from_conv(conv)
    torch.testing.assert_close(fused(x), expected, rtol=2e-2, atol=1e-5)
    shortcut = torch.randn_like(expected)
    torch.testing.assert_close(
        fused(x, shortcut),
        F.relu(conv(x) + shortcut),
        rtol=2e-2,
        atol=2e-2 if dtype is torch.bfloat16 else 1e-5)
    assert fused(x.double()).dtype is dtype


def test_conv_relu_refuses_other_padding():
    with pytest.raises(ValueError, match='zero padding'):
        ConvReLU2d.from_conv(nn.Conv2d(1, 1, 3, padding='same'))
