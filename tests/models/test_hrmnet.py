"""HRMNet and AR-CDNet keep the contract; encoders shared or one a sensor."""
import re

import pytest
import torch
import torch.nn.functional as F
from models.contract import DetectorContract, make_batch, total
from models.forms import check_forms, read
from torch import nn

from opencd_gold.apis.convert import RULES
from opencd_gold.models.decode_heads.hard_region_head import (
    TemporalDifference,
    change_logit,
)
from opencd_gold.models.necks import ContextPyramid
from opencd_gold.models.necks.context_pyramid import AverageCells
from opencd_gold.registry import MODELS

RECIPE = 'hrmnet/hrmnet_r18d_1xb16-20k_levir-cd-plus-512x512.py'
PLAIN = RECIPE.replace('r18d_', 'r18d-plain-for-comparison_')
AR_CDNET = 'hrmnet/ar-cdnet_r18d_1xb8-20k_levir-cd-512x512.py'
NARROW = {
    'model.backbone.init_cfg': None,
    'model.backbone.base_channels': 16,
    'model.backbone.stem_channels': 16,
    'model.neck.in_channels': [16, 32, 64, 128]
}


class Contract(DetectorContract):

    def with_bands(self, bands_from, bands_to):
        cfg = super().with_bands(bands_from, bands_to)
        cfg.model.decode_head.image_channels = (bands_from, bands_to)
        return cfg


class TestHRMNet(Contract):
    config = RECIPE
    overrides = NARROW


class TestARCDNet(Contract):
    config = AR_CDNET
    overrides = NARROW


class TestTwoSensorsAndOutputs(Contract):
    config = 'hrmnet/hrmnet_efflite0_1xb8-1500_ombria-256x256.py'
    overrides = {
        'model.backbone.pretrained': False,
        'model.backbone_to.pretrained': False,
        'model.decode_head.out_channels': 2,
        'model.decode_head.threshold': None
    }


def test_the_fast_form_is_the_plain_one():
    check_forms(RECIPE, PLAIN)


def test_the_plain_config_does_nothing_clever():
    plain = read(PLAIN)
    assert plain.decode_head.plain
    assert not plain.batch_dates and not plain.channels_last


def test_ar_cdnet_has_its_size():
    model = MODELS.build(read(AR_CDNET))
    assert sum(p.numel() for p in model.parameters()) == 14_342_446


def test_learned_difference_is_two_3d_convolutions():
    """Kernel (2, 3, 3), stride (2, 1, 1), padding (0, 1, 1)."""
    torch.manual_seed(0)
    module = TemporalDifference(
        4, dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'))).eval()
    a, b = torch.randn(2, 2, 4, 7, 9)
    conv, norm = module.conv.conv, module.conv.norm
    nn.init.normal_(norm.running_mean)
    kernel = conv.weight.view(8, 2, 4, 3, 3).transpose(1, 2)
    out = F.conv3d(torch.stack([a, b], dim=2), kernel, conv.bias,
                   stride=(2, 1, 1), padding=(0, 1, 1)).squeeze(2)
    first, second = norm(out).relu().chunk(2, dim=1)
    with torch.no_grad():
        torch.testing.assert_close(
            module(a, b), first + second, rtol=1e-4, atol=1e-5)


def test_no_gradient_through_the_hard_target():
    case = TestHRMNet()
    model = case.build()
    head = model.decode_head
    logits = torch.randn(2, 1, 8, 8, requires_grad=True)
    target = torch.tensor([0, 1, 255, 1]).repeat(2, 8, 2)
    hard = head.hard_target(logits, target)
    assert not hard.requires_grad
    prob = logits.detach().sigmoid().squeeze(1)
    assert (hard[target == 255] == 255).all()
    torch.testing.assert_close(hard[target == 1], 1 - prob[target == 1])
    torch.testing.assert_close(hard[target == 0], prob[target == 0])


def test_change_logit_of_two_channels():
    x = torch.randn(1, 2, 3, 3)
    torch.testing.assert_close(
        change_logit(x).sigmoid(), x.softmax(1)[:, 1:])


def test_all_outputs_of_the_authors_can_be_had():
    model = TestHRMNet().build().eval()
    inputs = model.data_preprocessor(make_batch((3, 3)))['inputs']
    with torch.no_grad():
        out = model.forward_branch(inputs)
        masks = model.decode_head.masks(out, (64, 64))
    assert list(masks) == [
        'final', 'side_0', 'side_1', 'side_2', 'side_3', 'hard']
    assert all(mask.shape == (2, 1, 64, 64) for mask in masks.values())


def test_outputs_show_the_stages_of_the_encoder_alone():
    """For losses on them; the images, which the head sees, are none."""
    model = TestHRMNet().build().eval()
    inputs = model.data_preprocessor(make_batch((3, 3)))['inputs']
    with torch.no_grad():
        out = model.forward_branch(inputs)
    for stages in (out.pyramid_from, out.pyramid_to):
        assert [stage.shape[1] for stage in stages] == [16, 32, 64, 128]
    assert out.feat_from.shape == out.feat_to.shape == (2, 64, 16, 16)


def test_images_are_asked_for():
    case = TestHRMNet()
    model = case.build({'model.with_images': False}).eval()
    with pytest.raises(ValueError, match='needs with_images=True'):
        model(torch.randn(1, 6, 64, 64), mode='tensor')


@pytest.mark.parametrize('option, value, words', [
    ('num_levels', 3, 'num_levels=3 levels after the image, got 4'),
    ('num_levels', 5, 'num_levels=5 levels after the image, got 4'),
    ('image_channels', 4,
     '(image_channels, in_channels, ...)=(4, 64, 64, 64, 64), got '
     '(3, 64, 64, 64, 64)'),
    ('image_channels', (3, 1), '=(1, 64, 64, 64, 64), got (3, 64, 64, 64'),
    ('in_channels', 32, '=(3, 32, 32, 32, 32), got (3, 64, 64, 64, 64)'),
])
def test_head_names_other_maps(option, value, words):
    model = TestHRMNet().build({f'model.decode_head.{option}': value}).eval()
    with pytest.raises(ValueError, match=re.escape(words)):
        model(torch.randn(1, 6, 64, 64), mode='tensor')


def test_batch_of_one_does_not_train():
    case = TestHRMNet()
    model = case.build()
    with pytest.raises(ValueError, match='PyramidPooling: a batch of one'):
        case.train_step(model, count=1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert torch.isfinite(module.running_var).all()
    case.predict(model, count=1)
    without = case.build({
        'model.neck.norm_cfg': dict(type='GN', num_groups=1)
    })
    assert torch.isfinite(total(case.train_step(without, count=1)))


@pytest.mark.parametrize('widths', [(4, 8), (8, 16), (4, 8, 17)])
def test_neck_checks_its_stages(widths):
    neck = ContextPyramid([4, 8, 16], channels=4)
    with pytest.raises(ValueError, match=re.escape(
            f'ContextPyramid: expected maps of in_channels=(4, 8, 16), got '
            f'{widths}')):
        neck([torch.zeros(1, width, 8, 8) for width in widths])


def test_another_difference_is_refused():
    with pytest.raises(ValueError, match="got 'signed'"):
        TestHRMNet().build({'model.decode_head.difference': 'signed'})


def test_imagenet_weights_of_timm_fit():
    """timm's names, made from those of the backbone, lead back to them."""
    backbone = MODELS.build(read(RECIPE).backbone)
    timm = {}
    for key, value in backbone.state_dict().items():
        name = key.replace('stem.7.', 'bn1.').replace('stem.', 'conv1.')
        timm[name] = value
    timm.update({'fc.weight': torch.zeros(1), 'fc.bias': torch.zeros(1)})
    state, dead = RULES['timm-resnet-d'].convert(timm)
    assert dead == ['fc.weight', 'fc.bias']
    backbone.load_state_dict(state, strict=True)


@pytest.mark.parametrize('size', [(7, 9), (1, 5), (2, 2), (16, 13)])
@pytest.mark.parametrize('cells', [1, 2, 3, 5])
def test_cells_are_those_of_adaptive_pooling(size, cells):
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(
        AverageCells(cells)(x), F.adaptive_avg_pool2d(x, cells))
