"""Heads, necks and interactions name the maps that they were not built for."""
import re

import pytest
import torch
from mmengine.registry import init_default_scope

from opencd_gold.models.layers import AggregationDistribution
from opencd_gold.registry import MODELS

WIDTHS = (16, 32, 64, 128)


def maps(*widths):
    """A pyramid of maps of these channels, finest first."""
    return [
        torch.randn(2, width, 16 >> index, 16 >> index)
        for index, width in enumerate(widths)
    ]


def build(**cfg):
    init_default_scope('opencd_gold')
    return MODELS.build(cfg).eval()


@pytest.mark.parametrize('kind, options', [
    ('SGSLNHead', {}),
    ('SpatioTemporalDifferenceHead', dict(channels=16)),
])
@pytest.mark.parametrize('widths', [(16, 32, 64), (16, 32, 64, 120), (16, )])
def test_heads_of_pyramids(kind, options, widths):
    """Of which a deepest stage too many was dropped without a word."""
    module = build(type=kind, in_channels=widths, **options)
    module(maps(*widths), maps(*widths))
    with pytest.raises(ValueError, match=re.escape(
            f'{kind}: expected maps of in_channels={widths} of each date, got '
            f'{WIDTHS} and {WIDTHS}')):
        module(maps(*WIDTHS), maps(*WIDTHS))
    with pytest.raises(ValueError, match=re.escape(f'got {widths} and 16')):
        module(maps(*widths), maps(16)[0])


@pytest.mark.parametrize('kind', [
    'MultiScaleFusion', 'TopDownDecoder', 'ContextPyramid'])
@pytest.mark.parametrize('found', [
    (16, 32, 64), (16, 32, 64, 120), (128, 64, 32, 16)])
def test_necks(kind, found):
    module = build(type=kind, in_channels=WIDTHS)
    with torch.no_grad():
        module(maps(*WIDTHS))
    with pytest.raises(ValueError, match=re.escape(
            f'{kind}: expected maps of in_channels={WIDTHS}, got {found}')):
        module(maps(*found))


@pytest.mark.parametrize('kind, key', [
    ('AttentionTransferHead', 'in_channels'),
    ('MixFFNHead', 'in_channels'),
    ('ChannelInteraction', 'channels'),
    ('FlowDualAlignment', 'channels'),
    ('AggregationDistribution', 'channels'),
])
def test_maps_of_two_dates(kind, key):
    module = build(type=kind, **{key: 16})
    first, wide = maps(16)[0], maps(32)[0]
    module(first, first)
    with pytest.raises(ValueError, match=re.escape(
            f'{kind}: expected maps of {key}=16 of each date, got 16 and '
            '32')):
        module(first, wide)
    with pytest.raises(ValueError, match=re.escape(
            f'got {WIDTHS} and {WIDTHS}')):
        module(maps(*WIDTHS), maps(*WIDTHS))


def test_pooled_batch_of_one():
    layer = AggregationDistribution(16)
    one, = maps(16)
    layer(one, one)
    with pytest.raises(ValueError, match='AggregationDistribution: a batch '
                       'of one cannot train.*batch_size of at least 2'):
        layer(one[:1], one[:1])
    layer.eval()(one[:1], one[:1])
    grouped = AggregationDistribution(
        16, norm_cfg=dict(type='GN', num_groups=2))
    grouped.train()(one[:1], one[:1])
