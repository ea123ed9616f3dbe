"""Schedules of SGSLN and HRMNet beyond what parity checks."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from opencd_gold.engine import WarmupPolyLR
from opencd_gold.registry import PARAM_SCHEDULERS

SCHEDULES = Path(__file__).parents[2] / 'configs/_base_/schedules'


def sgd(lr=1.):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def rates(scheduler, optimizer, count):
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return found


def test_warmup_of_its_own_length():
    optimizer = sgd()
    found = rates(WarmupPolyLR(optimizer, end=10, warmup_iters=4), optimizer,
                  10)
    warm = [0.1 + 0.9 * i / 4 for i in (1, 2, 3, 4)]
    decay = [(1 - i / 10)**0.9 for i in range(4, 10)]
    assert found == pytest.approx(warm + decay)


def test_warmup_is_cut_off():
    optimizer = sgd()
    found = rates(
        WarmupPolyLR(optimizer, end=10, warmup_iters=4, warmup_end=2),
        optimizer, 3)
    assert found == pytest.approx([0.325, 0.55, 0.8**0.9])


def test_resume_goes_on():
    optimizer = sgd()
    whole = rates(WarmupPolyLR(optimizer, end=8, warmup_iters=3), optimizer,
                  8)
    optimizer = sgd()
    first = WarmupPolyLR(optimizer, end=8, warmup_iters=3)
    begun = rates(first, optimizer, 4)
    state, weights = first.state_dict(), optimizer.state_dict()
    optimizer = sgd()
    optimizer.load_state_dict(weights)
    second = WarmupPolyLR(optimizer, end=8, warmup_iters=3)
    second.load_state_dict(state)
    optimizer.load_state_dict(weights)
    assert begun + rates(second, optimizer, 4) == pytest.approx(whole)


@pytest.mark.parametrize('wrong', [dict(begin=1), dict(by_epoch=True)])
def test_it_counts_iterations_from_the_start(wrong):
    with pytest.raises(ValueError, match='from the start'):
        WarmupPolyLR(sgd(), end=10, **wrong)


def test_plateau_of_sgsln():
    """The twelfth validation in a row without a better F1 divides by ten."""
    init_default_scope('opencd_gold')
    cfg = Config.fromfile(SCHEDULES / 'schedule_sgsln_500e.py')
    optimizer = sgd(cfg.lr)
    plateau = dict(cfg.param_scheduler[1], optimizer=optimizer)
    scheduler = PARAM_SCHEDULERS.build(plateau)
    scores = [50., 60.] + [60.] * 12 + [61.] + [61.] * 12
    found = []
    for score in scores:
        scheduler.step()
        scheduler.step(dict(F1=score))
        found.append(optimizer.param_groups[0]['lr'])
    expected = [2e-4] * 13 + [2e-5] * 13 + [2e-6]
    assert found == pytest.approx(expected)
