"""Weights of loss terms; the authors' figures are in tests/parity."""
import math

import pytest
import torch

from opencd_gold.models.losses import FixedWeighting, UncertaintyWeighting

GROUPS = dict(
    cd=dict(student=1.0, teacher=0.4),
    distill=dict(feature=0.7, output=0.3),
    att=dict(map=0.5, channel=0.3, spatial=0.2))
TASK = dict(cd=1.0, distill=0.3, att=0.3)
LIMITS = dict(cd=(0.6, None), distill=(None, 0.3), att=(None, 0.2))
TERMS = {
    name: torch.tensor(value)
    for name, value in dict(
        student=2., teacher=3., feature=4., output=5., map=6., channel=7.,
        spatial=9.).items()
}


def uncertainty(**kwargs):
    return UncertaintyWeighting(GROUPS, task=TASK, **kwargs)


def set_log_vars(module, values):
    for name, row in values.items():
        getattr(module, name).data.copy_(torch.tensor(row))
    return module


def softplus(x):
    return math.log1p(math.exp(x))


# fixed --------------------------------------------------------------------


def test_fixed_weights_are_factors():
    module = FixedWeighting(GROUPS, task=dict(distill=0.5))
    losses, logs = module(TERMS, epoch=0.)
    assert {name: value.item() for name, value in losses.items()
            } == pytest.approx(
                dict(
                    loss_cd=2 + 0.4 * 3,
                    loss_distill=0.5 * (0.7 * 4 + 0.3 * 5),
                    loss_att=0.5 * 6 + 0.3 * 7 + 0.2 * 9))
    assert logs['term/feature'] == 4
    assert logs['weight/distill.feature'].item() == pytest.approx(0.7)
    assert logs['weight/task.distill'] == 0.5
    assert logs['weight/task.cd'] == 1


def test_only_losses_are_minimised():
    """mmengine sums what has ``loss`` in its name."""
    losses, logs = uncertainty(penalty=0.1)(TERMS, epoch=3.)
    assert all('loss' in name for name in losses)
    assert not any('loss' in name for name in logs)
    assert not any(value.requires_grad for value in logs.values())


def test_fixed_weights_hold_no_state():
    module = FixedWeighting(GROUPS)
    assert not list(module.parameters())
    assert not module.state_dict()


def test_absent_term_is_left_out():
    module = FixedWeighting(GROUPS)
    losses, logs = module(dict(student=TERMS['student']), epoch=0.)
    assert list(losses) == ['loss_cd']
    assert losses['loss_cd'] == 2
    assert 'term/teacher' not in logs


# schedules ----------------------------------------------------------------


@pytest.mark.parametrize('kind, values', [
    ('cosine', {0: 0, 5: 0.5 * (1 - math.cos(math.pi / 4)), 10: 0.5, 20: 1,
                50: 1}),
    ('linear', {0: 1 / 20, 9: 0.5, 19: 1, 50: 1}),
    ('inverse', {0: 20, 9: 2, 19: 1, 39: 0.5}),
    ('delayed', {0: 0, 19.5: 0, 20: 1, 50: 1}),
])
def test_schedule(kind, values):
    module = FixedWeighting(
        GROUPS, schedules=dict(teacher=dict(kind=kind, epochs=20)))
    for epoch, factor in values.items():
        losses, logs = module(TERMS, epoch)
        assert losses['loss_cd'].item() == pytest.approx(2 + factor * 0.4 * 3)
        assert logs['weight/cd.teacher'].item() == pytest.approx(factor * 0.4)
        assert logs['weight/cd.student'] == 1


@pytest.mark.parametrize('schedule', [
    dict(kind='cosin', epochs=20),
    dict(kind='cosine'),
    dict(kind='cosine', epoch=20),
    dict(kind='cosine', epochs=20, start=3),
])
def test_wrong_schedule(schedule):
    with pytest.raises(ValueError, match="one of .*'cosine'.*got") as error:
        FixedWeighting(GROUPS, schedules=dict(teacher=schedule))
    assert str(schedule) in str(error.value)


# learned: form of the code ------------------------------------------------


def test_code_form_starts_at_the_initial_weights():
    weights = uncertainty().weights(0.)
    assert weights['cd'].tolist() == pytest.approx([1.0, 0.4])
    assert weights['distill'].tolist() == pytest.approx([0.7, 0.3])
    assert weights['att'].tolist() == pytest.approx([0.5, 0.3, 0.2])
    assert weights['task'].tolist() == pytest.approx([1.0, 0.3, 0.3])


@pytest.mark.parametrize('epoch, share', [
    (0, 0.),
    (5, 0.5 * (1 - math.cos(math.pi / 4))),
    (20, 1.),
    (70, 1.),
])
def test_code_form_moves_to_the_learned_shares(epoch, share):
    module = set_log_vars(uncertainty(), dict(cd=[-1., 2.]))
    p = [softplus(1.), softplus(-2.)]
    expected = [((1 - share) * w0 / 1.4 + share * precision / sum(p)) * 1.4
                for w0, precision in zip((1.0, 0.4), p)]
    found = module.weights(epoch)['cd']
    assert found.tolist() == pytest.approx(expected, rel=1e-5)
    assert found.sum().item() == pytest.approx(1.4)


@pytest.mark.parametrize('form', ['code', 'paper'])
@pytest.mark.parametrize('epoch', [30, 300])
def test_weights_keep_moving_after_the_warm_up(form, epoch):
    """Each log-variance has a gradient, as in the first epochs."""
    module = uncertainty(form=form)
    sum(module(TERMS, epoch)[0].values()).backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad.abs().min() > 1e-3, name


def test_gradient_of_a_weight():
    """Of w_1 t_1 + w_2 t_2 with w = 1.4 p / sum(p), at s = 0."""
    module = uncertainty()
    losses, _ = module(TERMS, epoch=20.)
    task = module.weights(20.)['task'][0].item()
    gradient, = torch.autograd.grad(losses['loss_cd'], module.cd)
    # p = log 2 each; dp/ds = -1/2; d(p1/(p1+p2))/dp1 = 1/(4 p)
    slope = -0.5 / (4 * math.log(2)) * 1.4 * (2. - 3.) * task
    assert gradient.tolist() == pytest.approx([slope, -slope], rel=1e-5)


def test_limits_of_the_authors_stop_the_task_weights():
    """(0.6, 0.3, 0.2) / 1.1 of the sum, without gradient from epoch 14 on."""
    module = uncertainty(task_limits=LIMITS)
    for epoch in (14, 20, 100):
        task = module.weights(epoch)['task']
        assert task.tolist() == pytest.approx(
            [1.6 * share / 1.1 for share in (0.6, 0.3, 0.2)], rel=1e-5)
        module.zero_grad()
        sum(module(TERMS, epoch)[0].values()).backward()
        assert module.task.grad.abs().max() < 1e-6
        assert module.cd.grad.abs().min() > 1e-3
    module.zero_grad()
    sum(module(TERMS, 5.)[0].values()).backward()
    assert module.task.grad.abs().max() > 1e-3


def test_penalty_pulls_log_variances_to_zero():
    module = set_log_vars(uncertainty(penalty=0.5), dict(cd=[1., -2.]))
    losses, _ = module(TERMS, epoch=0.)
    assert losses['loss_weight_penalty'].item() == pytest.approx(0.5 * 5)
    assert 'loss_weight_penalty' not in uncertainty()(TERMS, 0.)[0]


# learned: form of the paper -----------------------------------------------


@pytest.mark.parametrize('epoch, share, boost', [
    (0, 0., 1.),
    (10, 0.5, 1.),
    (20, 1., 1.),
    (45, 1., 1.25),
    (200, 1., 1.5),
])
def test_paper_form(epoch, share, boost):
    module = set_log_vars(uncertainty(form='paper'), dict(cd=[-1., 2.]))
    p = [boost * softplus(1.), softplus(-2.)]
    expected = [(1 - share) * w0 + share * precision / sum(p)
                for w0, precision in zip((1.0, 0.4), p)]
    assert module.weights(epoch)['cd'].tolist() == pytest.approx(
        expected, rel=1e-5)


def test_without_warm_up_the_learned_weights_count_at_once():
    module = set_log_vars(uncertainty(warmup_epochs=0), dict(cd=[-1., 2.]))
    p = [softplus(1.), softplus(-2.)]
    assert module.weights(0.)['cd'].tolist() == pytest.approx(
        [1.4 * x / sum(p) for x in p], rel=1e-5)


# terms and groups that do not fit -----------------------------------------


def test_term_without_a_weight():
    with pytest.raises(KeyError, match=r"no weight for \['edge'\]"):
        FixedWeighting(GROUPS)(dict(TERMS, edge=torch.tensor(1.)), 0.)


def test_term_in_two_groups():
    groups = dict(a=dict(student=1.), b=dict(student=1.))
    with pytest.raises(ValueError, match=r"two groups: \['student'\]"):
        FixedWeighting(groups)


def test_schedule_of_no_term():
    schedules = dict(teecher=dict(kind='cosine', epochs=20))
    with pytest.raises(ValueError, match=r"unknown terms: \['teecher'\]"):
        FixedWeighting(GROUPS, schedules=schedules)


def test_fixed_task_of_no_group():
    with pytest.raises(ValueError, match=r"task names \['distil'\]"):
        FixedWeighting(GROUPS, task=dict(distil=0.3))


def test_limit_of_no_group():
    with pytest.raises(ValueError, match=r"task_limits names \['distil'\]"):
        uncertainty(task_limits=dict(distil=(None, 0.3)))


def test_task_weights_must_name_the_groups():
    with pytest.raises(ValueError, match="'att', 'cd', 'distill'"):
        UncertaintyWeighting(GROUPS, task=dict(cd=1.0))


def test_wrong_form():
    with pytest.raises(ValueError, match="'code' or 'paper', got 'papr'"):
        uncertainty(form='papr')


# checkpoints --------------------------------------------------------------

LEARNED = dict(
    cd=[0.5, -0.25],
    distill=[1.5, 0.],
    att=[0.1, 0.2, 0.3],
    task=[-1., 0.5, 2.])


class Model(torch.nn.Module):

    def __init__(self, **kwargs):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.loss_weighting = uncertainty(**kwargs)


def test_checkpoint_restores_log_variances():
    source, target = Model(), Model()
    set_log_vars(source.loss_weighting, LEARNED)
    target.load_state_dict(source.state_dict(), strict=True)
    for name, row in LEARNED.items():
        assert getattr(target.loss_weighting, name).tolist() == pytest.approx(
            row)
    found, expected = (
        model.loss_weighting(TERMS, 25.)[0] for model in (target, source))
    assert found == expected


def test_checkpoint_without_log_variances_loads():
    state = {
        key: value
        for key, value in Model().state_dict().items()
        if not key.startswith('loss_weighting')
    }
    assert list(state) == ['layer.weight', 'layer.bias']
    model = Model()
    model.load_state_dict(state, strict=True)
    assert torch.equal(model.layer.weight, state['layer.weight'])
    assert all((p == 0).all() for p in model.loss_weighting.parameters())


def test_initial_weights_come_from_the_config_not_the_checkpoint():
    state = Model().state_dict()
    assert {key for key in state if 'weighting' in key} == {
        f'loss_weighting.{name}' for name in LEARNED}
