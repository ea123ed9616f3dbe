"""SGSLN against figures measured on the authors' code, every array."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import LinearLR

from opencd_gold.apis import init_model
from opencd_gold.apis.convert import RULES
from opencd_gold.evaluation.change_metric import (
    change_scores,
    confusion_matrix,
)
from opencd_gold.models.decode_heads.sgsln_head import soft_labels
from opencd_gold.models.layers import DoublePoolingFusion
from opencd_gold.models.losses import ChangeCrossEntropyLoss, ChangeDiceLoss
from opencd_gold.structures import BranchOutputs

from . import rule

CONFIGS = Path(__file__).parents[2] / 'configs'
FIG = rule.Figures('sgsln')
CASES = {}


def case(name):

    def register(function):
        CASES[name] = function
        return function

    return register


@pytest.fixture(scope='module')
def reference():
    return load('sgsln_reference.py', 'sgsln', FIG.info['state'])


def load(config, system, shapes):
    state, dead = RULES[system].convert(rule.state_dict(shapes))
    assert not dead
    model = init_model(CONFIGS / system / config)
    model.load_state_dict(state, strict=True)
    return model


def target():
    return rule.label('sgsln/y', (2, 64, 64), 0.3)


def logits(name, size):
    return rule.tensor(f'sgsln/{name}', (2, 1, size, size))


@case('forward')
def forward(model):
    pair = torch.cat(
        [rule.tensor(f'sgsln/{name}', (1, 3, 64, 64)) for name in 'ab'], 1)
    with torch.no_grad():
        out = model.forward_branch(pair)
        alone = model(pair, mode='tensor')
    FIG.check('forward.change_out', alone)
    FIG.check('forward.change_out', out.logits)
    FIG.check('forward.seg_out1', out.extras['aux_from'])
    FIG.check('forward.seg_out2', out.extras['aux_to'])
    FIG.check('forward.t1_4', out.pyramid_from[2])
    FIG.check('forward.t2_4', out.pyramid_to[2])
    FIG.check('forward.t1_5', out.pyramid_from[3])
    FIG.check('forward.change_5', out.extras['deepest'])
    FIG.check('forward.change_2_mean', out.fused.mean(1, keepdim=True))


@case('dpfa')
def dpfa(_):
    pair = [rule.tensor(f'sgsln/dpfa_t{i}', (2, 64, 16, 16)) for i in (1, 2)]
    shapes = FIG.cases['dpfa']['parameters']
    for plain in (False, True):
        module = DoublePoolingFusion(64, plain)
        module.load_state_dict(rule.state_dict(shapes))
        with torch.no_grad():
            FIG.check('dpfa.out', module(*pair))


@case('loss')
def loss(model):
    names = dict(change=('c', 64), seg1=('s1', 32), seg2=('s2', 32))
    inputs = {name: logits(*how).requires_grad_()
              for name, how in names.items()}
    soft = soft_labels(target(), (32, 32))
    FIG.check('loss.seg_label', soft)
    bce, dice = ChangeCrossEntropyLoss(), ChangeDiceLoss(mode='change')
    for name, x in inputs.items():
        labels = target() if name == 'change' else soft
        FIG.check(f'loss.{name}_bce', bce(x, labels).reshape(1))
        FIG.check(f'loss.{name}_dice', dice(x, labels).reshape(1))
    losses = head_losses(model.decode_head, inputs)
    parts = {
        kind: sum(value for name, value in losses.items()
                  if name.endswith(f'loss_{kind}'))
        for kind in ('ce', 'dice')
    }
    FIG.check('loss.bce', parts['ce'].reshape(1))
    FIG.check('loss.dice', parts['dice'].reshape(1))
    total = sum(losses.values())
    FIG.check('loss.total', total.reshape(1))
    total.backward()
    FIG.check('loss.grad_abs_sum',
              torch.stack([x.grad.abs().sum() for x in inputs.values()]))


def head_losses(head, inputs):
    """Losses of the reference config's head for given logits."""
    outputs = BranchOutputs(
        None, None, None, inputs['change'],
        extras=dict(aux_from=inputs['seg1'], aux_to=inputs['seg2']))
    return head.loss_by_outputs(outputs, target())


@case('scores')
def scores(model):
    prediction = (logits('c', 64).sigmoid().squeeze(1) >
                  model.decode_head.threshold)
    values = change_scores(confusion_matrix(target(), prediction, 2))
    FIG.check('scores.values', [
        values[key] for key in ('OA', 'Precision', 'Recall', 'F1')])


@case('schedule')
def schedule(_):
    cfg = Config.fromfile(
        CONFIGS / '_base_/schedules/schedule_sgsln_500e.py')
    warmup = dict(cfg.param_scheduler[0])
    assert warmup.pop('type') == 'LinearLR'
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))],
                                  lr=cfg.optim_wrapper.optimizer.lr)
    scheduler = LinearLR(optimizer, **warmup)
    seen = {}
    for iteration in range(1, 5001):
        seen[iteration] = optimizer.param_groups[0]['lr']
        optimizer.step()
        scheduler.step()
    wanted = FIG.cases['schedule']['options']['iterations']
    FIG.check('schedule.lr', [seen[i] for i in wanted], relative=True,
              tolerance=1e-6)


@pytest.mark.parametrize('name', sorted(CASES))
def test_case(name, reference):
    FIG.seen.clear()
    CASES[name](reference)
    assert set(FIG.seen) == set(FIG.cases[name]['arrays'])


def test_every_case_is_checked():
    assert set(CASES) == set(FIG.cases)
    named = {name for case in FIG.info['cases'] for name in case['arrays']}
    assert named == set(FIG.arrays)


def test_half_is_change(reference):
    """The authors' threshold includes 0.5, that is a logit of 0."""
    threshold = reference.decode_head.threshold
    assert torch.tensor([0.]).sigmoid() > threshold
    below = torch.nextafter(torch.tensor([0.5]), torch.tensor([0.]))
    assert not below > threshold


def test_the_order_of_the_dates_counts(reference):
    a, b = (rule.tensor(f'sgsln/{name}', (1, 3, 64, 64)) for name in 'ab')
    with torch.no_grad():
        one = reference(torch.cat([a, b], 1), mode='tensor')
        other = reference(torch.cat([b, a], 1), mode='tensor')
    assert (one - other).abs().max() > 1e-2
