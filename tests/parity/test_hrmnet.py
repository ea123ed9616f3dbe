"""HRMNet against figures measured on the authors' code, every array."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from opencd_gold.apis import init_model
from opencd_gold.apis.convert import RULES
from opencd_gold.engine.schedulers import WarmupPolyLR
from opencd_gold.evaluation.change_metric import (
    change_scores,
    confusion_matrix,
)
from opencd_gold.models.decode_heads.hard_region_head import KnowledgeReview
from opencd_gold.models.losses import ChangeCrossEntropyLoss, ChangeDiceLoss
from opencd_gold.models.necks.context_pyramid import PyramidPooling
from opencd_gold.structures import BranchOutputs

from . import rule

CONFIGS = Path(__file__).parents[2] / 'configs'
FIG = rule.Figures('hrmnet')
LAYERS = dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'))
CASES = {}


def case(name):

    def register(function):
        CASES[name] = function
        return function

    return register


@pytest.fixture(scope='module')
def reference():
    return load('hrmnet_reference.py', 'hrmnet', FIG.info['state'])


def load(config, system, shapes):
    state, dead = RULES[system].convert(rule.state_dict(shapes))
    assert not dead
    model = init_model(
        CONFIGS / system / config,
        cfg_options={'model.backbone.init_cfg': None})
    model.load_state_dict(state, strict=True)
    return model


def part(module, name, old, new):
    """Fill a module with the weights that a case names by itself.

    ``old`` is where the authors' network holds such a module, ``new`` where
    this package's does; so the key rules are those of whole checkpoints.
    """
    shapes = FIG.cases[name]['parameters']
    weights = rule.state_dict(shapes)
    state, _ = RULES['hrmnet'].convert(
        {f'{old}.{key}': value for key, value in weights.items()})
    module.load_state_dict(
        {key.removeprefix(f'{new}.'): value for key, value in state.items()},
        strict=True)
    return module.eval()


def target():
    return rule.label('hrmnet/y', (2, 64, 64), 0.3)


def masks():
    return rule.tensor('hrmnet/m', (2, 5, 64, 64))


@case('forward')
def forward(model):
    x = rule.tensor('hrmnet/x', (1, 6, 64, 64))
    with torch.no_grad():
        out = model.forward_branch(x)
        alone = model(x, mode='tensor')
        _, *levels = model.fuse_pair(*model.extract_feat(x))[0]
    assert torch.equal(out.feat_from, levels[0])
    for index, level in enumerate(levels, start=2):
        FIG.check(f'forward.t1_p{index}', level)
    hard = out.extras['hard']
    sides = [out.extras[f'side_{index}'] for index in range(4)]
    FIG.check('forward.logits', torch.cat([alone, *sides], 1))
    FIG.check('forward.hard_logit', hard)
    full = model.decode_head.masks(out, (64, 64))
    FIG.check('forward.hard', full.pop('hard').sigmoid())
    FIG.check('forward.masks', torch.cat(list(full.values()), 1).sigmoid())


@case('krm')
def krm(_):
    inputs = [
        rule.tensor(f'hrmnet/krm_{name}', (2, channels, 16, 16))
        for name, channels in (('feature', 128), ('fine', 1), ('coarse', 1))
    ]
    for plain in (False, True):
        module = part(
            KnowledgeReview(64, LAYERS, plain), 'krm', 'kr_decoder.krm_d3',
            'decode_head.review.0')
        with torch.no_grad():
            FIG.check('krm.out', module(*inputs))


@case('ppm')
def ppm(_):
    module = part(
        PyramidPooling(512, 64, (1, 2, 3, 5), **LAYERS), 'ppm',
        'encoder.context_p5', 'neck.ppm')
    with torch.no_grad():
        FIG.check('ppm.out', module(rule.tensor('hrmnet/ppm',
                                                (2, 512, 7, 9))))


@case('loss')
def loss(model):
    logits = masks().requires_grad_()
    hard = rule.tensor('hrmnet/h', (2, 1, 64, 64)).requires_grad_()
    bce, dice = ChangeCrossEntropyLoss(), ChangeDiceLoss(mode='change')
    parts = logits.split(1, dim=1)
    FIG.check('loss.bce', torch.stack([bce(x, target()) for x in parts]))
    FIG.check('loss.dice', torch.stack([dice(x, target()) for x in parts]))
    head = model.decode_head
    FIG.check('loss.hard_target',
              head.hard_target(parts[0], target()).unsqueeze(1))
    sides = {f'side_{i}': x for i, x in enumerate(parts[1:])}
    outputs = BranchOutputs(
        None, None, None, parts[0], extras=dict(**sides, hard=hard))
    losses = head.loss_by_outputs(outputs, target())
    total = sum(losses.values())
    FIG.check('loss.hard', losses.pop('loss_hard').reshape(1))
    FIG.check('loss.masks', sum(losses.values()).reshape(1))
    FIG.check('loss.total', total.reshape(1))
    total.backward()
    FIG.check(
        'loss.grad_abs_sum',
        torch.cat([logits.grad.abs().sum((0, 2, 3)),
                   hard.grad.abs().sum().reshape(1)]))


@case('scores')
def scores(model):
    prediction = (masks()[:, 0].sigmoid() > model.decode_head.threshold)
    values = change_scores(confusion_matrix(target(), prediction, 2))
    FIG.check('scores.values', [
        values[key]
        for key in ('F1', 'IoU', 'Kappa', 'OA', 'Precision', 'Recall')
    ])


def check_schedule(name):
    options = FIG.cases[name]['options']
    length = options['iterations_per_epoch']
    cfg = Config.fromfile(
        CONFIGS / '_base_/schedules/schedule_hrmnet_20k.py')
    schedule = dict(cfg.param_scheduler)
    assert schedule.pop('type') == 'WarmupPolyLR'
    schedule.update(warmup_end=length, end=options['epochs'] * length)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))],
                                  lr=cfg.optim_wrapper.optimizer.lr)
    scheduler = WarmupPolyLR(optimizer, **schedule)
    rates = []
    for _ in range(max(options['iterations']) + 1):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    FIG.check(f'{name}.lr', [rates[i] for i in options['iterations']],
              relative=True, tolerance=1e-6)


@case('schedule')
def schedule(_):
    check_schedule('schedule')


@case('schedule_short')
def schedule_short(_):
    check_schedule('schedule_short')


@pytest.mark.parametrize('name', sorted(CASES))
def test_case(name, reference):
    FIG.seen.clear()
    CASES[name](reference)
    assert set(FIG.seen) == set(FIG.cases[name]['arrays'])


def test_every_case_is_checked():
    assert set(CASES) == set(FIG.cases)
    named = {name for case in FIG.info['cases'] for name in case['arrays']}
    assert named == set(FIG.arrays)


def test_the_order_of_the_dates_does_not_count(reference):
    x = rule.tensor('hrmnet/x', (1, 6, 64, 64))
    with torch.no_grad():
        one = reference(x, mode='tensor')
        other = reference(torch.cat([x[:, 3:], x[:, :3]], 1), mode='tensor')
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
