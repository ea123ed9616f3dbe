"""HeteCD against figures measured on the authors' code, every array."""
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import PolyParamScheduler
from mmengine.registry import init_default_scope

from opencd_gold.apis import init_model
from opencd_gold.apis.convert import RULES
from opencd_gold.evaluation.change_metric import (
    change_scores,
    confusion_matrix,
)
from opencd_gold.models.decode_heads.spatio_temporal_head import (
    SpatioTemporalDifference,
    SpatioTemporalDifferenceHead,
)
from opencd_gold.models.losses import (
    ChangeCrossEntropyLoss,
    ChangeDiceLoss,
    FeatureAlignLoss,
    FeatureConsistencyLoss,
    FeatureKLLoss,
)
from opencd_gold.models.losses.alignment import alignment
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

from . import rule

CONFIGS = Path(__file__).parents[2] / 'configs'
FIG = rule.Figures('hetecd')
CASES = {}


def case(name):

    def register(function):
        CASES[name] = function
        return function

    return register


@pytest.fixture(scope='module')
def reference():
    return load('hetecd_reference.py', 'hetecd', FIG.info['state'])


def load(config, system, shapes):
    state, _ = RULES[system].convert(rule.state_dict(shapes))
    model = init_model(CONFIGS / 'hetecd' / config)
    model.load_state_dict(state, strict=True)
    return model


def tensor(name, case_name):
    return rule.tensor(f'hetecd/{name}',
                       FIG.cases[case_name]['inputs'][f'hetecd/{name}'])


def target():
    return rule.label('hetecd/y', (2, 64, 64), 0.3)


def pyramids(case_name='align'):
    """Stages 3 and 4 of both dates, as leaves."""
    leaves = OrderedDict((name, tensor(name, case_name).requires_grad_())
                         for name in ('f3a', 'f4a', 'f3b', 'f4b'))
    empty = torch.zeros(2, 1, 1, 1)
    outputs = BranchOutputs(
        empty,
        empty,
        empty,
        empty,
        pyramid_from=(leaves['f3a'], leaves['f4a']),
        pyramid_to=(leaves['f3b'], leaves['f4b']))
    return outputs, leaves


def stage_outputs(head):
    """What the parts of the head gave in the last pass, by name."""
    parts = {f'fuse_c{i + 1}': block for i, block in enumerate(head.diffs)}
    parts['fused'] = head.fusion.norm
    seen = {}
    handles = [
        module.register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: out}))
        for name, module in parts.items()
    ]
    return seen, handles


@case('forward')
def forward(model):
    pair = torch.cat([tensor('a', 'forward'), tensor('b', 'forward')], 1)
    seen, handles = stage_outputs(model.decode_head)
    with torch.no_grad():
        outputs = model.forward_branch(pair)
        sample, = model(pair, mode='predict')
    for handle in handles:
        handle.remove()
    FIG.check('forward.logits', sample.seg_logits.data[None])
    FIG.check('forward.logits_quarter', outputs.logits)
    FIG.check('forward.refined', outputs.fused)
    for name, value in seen.items():
        FIG.check(f'forward.{name}', value)
    for index in range(4):
        FIG.check(f'forward.c{index + 1}_1', outputs.pyramid_from[index])
        FIG.check(f'forward.c{index + 1}_2', outputs.pyramid_to[index])
    terms = model.feature_losses[0](outputs, target()[:1])
    FIG.check('forward.align', terms['term/align'])


def block(case_name, plain):
    """One difference block with the weights of a case."""
    info = FIG.cases[case_name]
    prefix = 'CD_Decoder.cross_fuse_c1.'
    state, _ = RULES['hetecd'].convert({
        prefix + key: rule.weight(info['parameter_prefix'] + key, shape)
        for key, shape in info['parameters'].items()
    })
    module = SpatioTemporalDifference(256, plain=plain).eval()
    module.load_state_dict({
        key.replace('decode_head.diffs.0.', ''): value
        for key, value in state.items()
    })
    return module


def check_block(case_name):
    dates = [
        FIG.cases[case_name]['scale'] * tensor(name, case_name)
        for name in ('fuse_a', 'fuse_b')
    ]
    interleaved = torch.stack(dates, dim=2).flatten(1, 2)
    for plain in (True, False):
        module = block(case_name, plain)
        with torch.no_grad():
            FIG.check(f'{case_name}.out', module(*dates))
            if f'{case_name}.attended' not in FIG.arrays:
                continue
            attended = (
                module.attend_plain(interleaved) if plain else torch.cat(
                    [module.attend(interleaved, i) for i in range(3)], 1))
            FIG.check(f'{case_name}.attended', attended)


@case('fuse1')
def fuse1(_):
    check_block('fuse1')


@case('fuse16')
def fuse16(_):
    check_block('fuse16')


@case('align')
def align(_):
    outputs, leaves = pyramids()
    options = FIG.cases['align']['options']
    loss = FeatureAlignLoss(temperature=options['temperature'], where='all')
    total = loss(outputs, target())['loss_align']
    FIG.check('align.total', total)
    for stage, name in enumerate(('c3', 'c4')):
        channel, spatial = alignment(outputs.pyramid_from[stage],
                                     outputs.pyramid_to[stage])
        FIG.check(f'align.channel_{name}', channel)
        FIG.check(f'align.spatial_{name}', spatial)
    (options['grad_multiplier'] * total).backward()
    for name, leaf in leaves.items():
        FIG.check(f'align.grad_{name}', leaf.grad)


@case('consistency')
def consistency(_):
    assert target()[:, 0, 0].tolist() == [1, 0]
    outputs, _ = pyramids('consistency')
    loss = FeatureConsistencyLoss(by='corner')
    FIG.check('consistency.loss',
              loss(outputs, target())['loss_consistency'])


@case('kl')
def kl(_):
    outputs, _ = pyramids('kl')
    loss = FeatureKLLoss(reduction='batchmean')
    FIG.check('kl.loss', loss(outputs, target())['loss_kl'])


@case('ce')
def ce(_):
    logits = tensor('l', 'ce')
    FIG.check('ce.loss', ChangeCrossEntropyLoss()(logits, target()))
    weighted = ChangeCrossEntropyLoss(class_weight=(0.1, 0.9))
    FIG.check('ce.loss_w01_09', weighted(logits, target()))


@case('dice')
def dice(_):
    logits = tensor('l', 'dice').requires_grad_()
    value = ChangeDiceLoss(mode='code')(logits, target())
    FIG.check('dice.loss', value)
    (FIG.cases['dice']['options']['grad_multiplier'] * value).backward()
    FIG.check('dice.grad', logits.grad)


@case('resized')
def resized(model):
    """A head that aligns corners resizes as the authors' losses do."""
    init_default_scope('opencd_gold')
    head = SpatioTemporalDifferenceHead(
        in_channels=[1], channels=1, align_corners=True)
    logits = head.upsample(tensor('l32', 'resized'), (64, 64))
    losses = model.decode_head.supervise(logits, target())
    FIG.check('resized.ce', losses['loss_ce'])
    FIG.check('resized.dice', losses['loss_dice'])


@case('total')
def total(model):
    outputs, _ = pyramids('total')
    supervised = model.decode_head.supervise(tensor('l', 'total'), target())
    hub = MessageHub.get_instance('total of HeteCD')
    rows = []
    for epoch in FIG.cases['total']['options']['epochs']:
        hub.update_info_dict(
            dict(iter=epoch, max_iters=1000, iters_per_epoch=1))
        terms = model.feature_losses[0](outputs, target())
        rows.append(sum(supervised.values()) + terms['loss_align'])
    FIG.check('total.loss', torch.stack(rows))


@case('schedule')
def schedule(model):
    """The authors' rate of iteration i, counted from 1, of I.

    mmengine's falls from the full rate in its first step to zero in its last,
    I - 1 steps; so a schedule that is one step longer has the authors' rates,
    after its first.
    """
    options = FIG.cases['schedule']['options']
    cfg = model.cfg.param_scheduler
    assert cfg.convert_to_iter_based
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)],
                                  lr=model.cfg.optim_wrapper.optimizer.lr)
    scheduler = PolyParamScheduler(
        optimizer,
        'lr',
        power=cfg.power,
        eta_min=cfg.eta_min,
        end=options['total'] + 1,
        by_epoch=False)
    rates = []
    for _ in range(options['total']):
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]['lr'])
    FIG.check('schedule.lr', [
        options['lr_multiplier'] * rates[i - 1] for i in options['iterations']
    ])


@case('scores')
def scores(_):
    labels = FIG.cases['scores']['labels']
    truth, guess, keep = (
        rule.label(f'hetecd/{name}', **labels[f'hetecd/{name}'])
        for name in ('gt', 'pred', 'keep'))
    prediction = torch.where(truth == 1, keep, guess)
    matrix = confusion_matrix(truth, prediction, num_classes=2)
    by_class = [change_scores(matrix, change_class=c) for c in (0, 1)]
    values = [by_class[1]['OA'], by_class[1]['mIoU']]
    values += [(by_class[0]['F1'] + by_class[1]['F1']) / 2]
    for name in ('IoU', 'F1', 'Precision', 'Recall'):
        values += [by_class[0][name], by_class[1][name]]
    FIG.check('scores.values', values)


@pytest.mark.parametrize('name', sorted(FIG.cases))
def test_case(name, reference):
    FIG.seen.clear()
    CASES[name](reference)
    assert set(FIG.seen) == set(FIG.cases[name]['arrays'])


def test_every_array_belongs_to_a_case():
    named = {name for info in FIG.cases.values() for name in info['arrays']}
    assert named == set(FIG.arrays)


def test_dead_keys_are_named():
    state = rule.state_dict(FIG.info['state'])
    converted, dead = RULES['hetecd'].convert(state)
    prefixes = tuple(FIG.info['dead_prefixes'])
    assert len(state) == 859
    assert dead == [key for key in state if key.startswith(prefixes)]
    assert len(dead) == 71
    # 16 pairs of query and key-value, weight and bias, in each encoder.
    assert len(converted) == 859 - 71 - 2 * 32


def test_data_parallel_prefix_is_dropped():
    key = 'CD_Decoder.make_pred_bcd.0.bias'
    value = torch.zeros(2)
    converted, _ = RULES['hetecd'].convert({f'module.{key}': value})
    assert list(converted) == ['decode_head.pred.conv.bias']


def test_half_of_an_attention_is_refused():
    key = 'backbone1.block2.0.attn.{}.bias'
    state = {key.format('q'): torch.zeros(2), key.format('kv'): torch.ones(4)}
    converted, _ = RULES['hetecd'].convert(state)
    assert list(converted) == [
        'backbone.layers.1.1.0.attn.attn.in_proj_bias'
    ]
    assert next(iter(converted.values())).tolist() == [0, 0, 1, 1, 1, 1]
    del state[key.format('q')]
    with pytest.raises(KeyError, match=r'in_proj_bias: .* found only \[1\]'):
        RULES['hetecd'].convert(state)


def test_live_parameters(reference):
    assert sum(p.numel() for p in reference.parameters()) == 81_280_668


def test_losses_of_the_gold_variant():
    """Losses and weights of the shipped config give GOLD's ``variant/*``."""
    from . import test_gold as gold
    init_default_scope('opencd_gold')
    cfg = Config.fromfile(
        CONFIGS / 'gold/gold_mit-b2_1xb4-400e_hcd3s-512x512.py').model
    student, teacher = gold.variant_branches()
    terms = {}
    for loss in cfg.distill_losses:
        terms.update(MODELS.build(loss)(student, teacher, gold.target()))
    supervision = [
        ChangeCrossEntropyLoss(),
        ChangeDiceLoss(mode='code')
    ]
    assert [loss.type for loss in cfg.decode_head.loss_decode
            ] == [type(loss).__name__ for loss in supervision]
    for name, branch in (('student', student), ('teacher', teacher)):
        terms[name] = sum(
            loss(branch.logits, gold.target()) for loss in supervision)
    weighting = MODELS.build(cfg.loss_weighting)
    rows = [
        sum(weighting(terms, epoch)[0].values()) for epoch in
        gold.FIG.cases['variant_losses']['options']['epochs']
    ]
    expected = gold.FIG.arrays['variant/total']
    np.testing.assert_allclose(torch.stack(rows), expected, rtol=1e-5)
