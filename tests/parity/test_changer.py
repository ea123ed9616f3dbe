"""Changer against figures measured on Open-CD, every array."""
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.losses import accuracy
from mmseg.structures import SegDataSample
from torch import nn

from opencd_gold.apis import init_model
from opencd_gold.apis.convert import RULES
from opencd_gold.models import ChangeDataPreProcessor
from opencd_gold.models.layers import ChannelExchange, SpatialExchange
from opencd_gold.models.losses import (
    ChangeCrossEntropyLoss,
    HardPixelCrossEntropyLoss,
)
from opencd_gold.models.necks import FlowDualAlignment
from opencd_gold.models.necks.flow_dual_alignment import warp

from . import rule

CONFIGS = Path(__file__).parents[2] / 'configs' / 'changer'
REFERENCE = 'changer-mit-b0_reference.py'
FIG = rule.Figures('changer')
CASES = {}


def case(name):

    def register(function):
        CASES[name] = function
        return function

    return register


def load(config, system, shapes, **options):
    state, dead = RULES[system].convert(rule.state_dict(shapes))
    assert not dead
    model = init_model(CONFIGS / config, cfg_options={
        'model.backbone.init_cfg': None, **options})
    model.load_state_dict(state, strict=True)
    return model


@pytest.fixture(scope='module')
def reference():
    return load(REFERENCE, 'changer', FIG.info['state'])


def check_forward(figures, model):
    """The case ``forward``, the same for every encoder."""
    x = rule.tensor('changer/x', (1, 6, 128, 128))
    with torch.no_grad():
        out = model.forward_branch(x)
        swapped = model(torch.cat([x[:, 3:], x[:, :3]], 1), mode='tensor')
        full, = model(x, mode='predict')
        fdaf = torch.cat(model.interaction(out.feat_from, out.feat_to), 1)
    figures.check('forward.logits', out.logits)
    figures.check('forward.full', full.seg_logits.data[None])
    for index, pair in enumerate(zip(out.pyramid_from, out.pyramid_to)):
        figures.check(f'forward.stage{index + 1}', torch.cat(pair, 1))
    figures.check('forward.time1', out.feat_from[:, ::4])
    figures.check('forward.time2', out.feat_to[:, ::4])
    figures.check('forward.fdaf', fdaf[:, ::8])
    figures.check('forward.ffn', out.fused[:, ::8])
    figures.check('forward.logits_swapped', swapped)


def check_training(figures, model, names):
    """The case ``train_forward``: batch norm sees each date alone."""
    x = rule.tensor('changer/train/x', (2, 6, 64, 64))
    before = {
        key: value.clone() for key, value in model.state_dict().items()
    }
    with torch.no_grad():
        logits = model.train().forward_branch(x).logits
    figures.check('train_forward.logits', logits)
    state = model.state_dict()
    for theirs, ours in names.items():
        figures.check(f'train_forward.{theirs}', state[ours])
    model.eval().load_state_dict(before)


@case('forward')
def forward(model):
    check_forward(FIG, model)


@case('fdaf')
def fdaf(_):
    info = FIG.cases['fdaf']
    block = FlowDualAlignment(64)
    prefix = info['parameter_prefix']
    block.load_state_dict({
        key.replace('flow_make', 'flow'): rule.weight(prefix + key, shape)
        for key, shape in info['parameters'].items()
    })
    x1, x2 = (rule.tensor(f'changer/fdaf/x{i}', (2, 64, 24, 20))
              for i in (1, 2))
    with torch.no_grad():
        FIG.check('fdaf.flow', block.flow(torch.cat([x1, x2], 1)))
        pair = block(x1, x2)
    for index, value in enumerate(pair):
        FIG.check(f'fdaf.x{index + 1}', value)


@case('warp')
def warp_alone(_):
    x = rule.tensor('changer/warp/x', (2, 3, 24, 20))
    flow = 12 * rule.tensor('changer/warp/flow', (2, 2, 24, 20))
    FIG.check('warp.out', warp(x, flow))


@case('exchange')
def exchange(_):
    pair = [rule.tensor(f'changer/ex/x{i}', (2, 5, 3, 7)) for i in (1, 2)]
    shares = {'1/2': 1 / 2, '1/3': 1 / 3, '1/4': 1 / 4}
    for cls, axis in ((SpatialExchange, 3), (ChannelExchange, 1)):
        name = cls.__name__
        for key, indices in FIG.cases['exchange']['exchanged'][name].items():
            swapped = cls(shares.get(key) or float(key))(*pair)
            for index in range(pair[0].shape[axis]):
                own, other = (x.select(axis, index) for x in (
                    pair if index not in indices else pair[::-1]))
                assert torch.equal(swapped[0].select(axis, index), own)
                assert torch.equal(swapped[1].select(axis, index), other)
        for index, value in enumerate(cls()(*pair)):
            FIG.check(f'exchange.{name}.x{index + 1}', value)


@case('loss')
def loss(model):
    info = FIG.cases['loss']
    x = rule.tensor('changer/loss/x', (2, 6, 128, 128))
    target = torch.cat([
        rule.label(name, label['shape'], label['p'])
        for name, label in info['labels'].items()
    ])
    rows, columns = (slice(*info['ignore'][key]) for key in ('rows', 'cols'))
    target[:, rows, columns] = info['ignore']['value']
    with torch.no_grad():
        logits = model.forward_branch(x).logits
    logits = model.decode_head.upsample(logits, (128, 128))
    for kept in (100000, 12000, 2000):
        module = HardPixelCrossEntropyLoss(thresh=0.7, min_kept=kept)
        FIG.check(f'loss.ohem_{kept}', module(logits, target)[None])
    # Without a sampler theirs divides by all pixels too.
    plain = ChangeCrossEntropyLoss()(logits, target)
    share = (target != 255).float().mean()
    FIG.check('loss.plain', (plain * share)[None])
    FIG.check('loss.acc_seg', accuracy(logits, target, ignore_index=255))


@case('train_forward')
def train_forward(_):
    model = load(
        REFERENCE, 'changer', FIG.info['state'], **{
            'model.backbone.drop_path_rate': 0.,
            'model.decode_head.dropout_ratio': 0.
        })
    keys = [
        f'{part}.bn.running_{statistic}'
        for part in ('convs.0', 'fusion_conv') for statistic in ('mean', 'var')
    ]
    check_training(
        FIG, model, {
            f'decode_head.{key}': 'neck.' +
            key.replace('convs', 'lateral_convs')
            for key in keys
        })


@case('preprocess')
def preprocess(_):
    info = FIG.cases['preprocess']
    x = rule.tensor('changer/pre/x', (6, 50, 40))
    x = x * info['scale'] + info['shift']
    options = info['options']
    module = ChangeDataPreProcessor(
        channels=(3, 3),
        mean=[options['mean'][:3], options['mean'][3:]],
        std=[options['std'][:3], options['std'][3:]],
        bgr_to_rgb=options['bgr_to_rgb'],
        size_divisor=options['size_divisor'],
        pad_val=options['pad_val'],
        seg_pad_val=options['seg_pad_val'])
    sample = SegDataSample(metainfo=dict(img_shape=(50, 40)))
    sample.gt_sem_seg = PixelData(data=torch.zeros(1, 50, 40).long())
    data = module(dict(inputs=[x], data_samples=[sample]), training=True)
    FIG.check('preprocess.inputs', data['inputs'])
    FIG.check('preprocess.label', data['data_samples'][0].gt_sem_seg.data)


@pytest.mark.parametrize('name', sorted(FIG.cases))
def test_case(name, reference):
    FIG.seen.clear()
    CASES[name](reference)
    assert set(FIG.seen) == set(FIG.cases[name]['arrays'])


def test_every_array_belongs_to_a_case():
    named = {name for info in FIG.cases.values() for name in info['arrays']}
    assert named == set(FIG.arrays)


def test_parameter_count(reference):
    count = sum(p.numel() for p in reference.parameters())
    assert count == FIG.info['parameters'] == 3_457_250


def test_fast_form(reference):
    """Dates as one batch, scales convolved apart: layer norms see no batch."""
    x = rule.tensor('changer/x', (1, 6, 128, 128))
    fast = load(
        REFERENCE, 'changer', FIG.info['state'],
        **{'model.batch_dates': True, 'model.neck.plain': False})
    with torch.no_grad():
        torch.testing.assert_close(
            fast(x, mode='tensor'),
            reference(x, mode='tensor'),
            rtol=1e-4,
            atol=1e-4)


def test_instances_are_normalised_in_prediction_too(reference):
    norm, = (m for m in reference.interaction.modules()
             if isinstance(m, nn.InstanceNorm2d))
    x = 3 + rule.tensor('changer/fdaf/x1', (2, 64, 24, 20)).repeat(1, 2, 1, 1)
    mean = F.adaptive_avg_pool2d(norm.eval()(x), 1)
    assert mean.abs().max() < 1e-4
