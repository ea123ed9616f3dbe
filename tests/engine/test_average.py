"""The moving average that the schedule of 1,500 iterations validates."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

SCHEDULE = (
    Path(__file__).parents[2] / 'configs/_base_/schedules/schedule_1500.py')


@pytest.fixture
def averaged():
    """A norm, and its average as the hook builds it."""
    cfg = Config.fromfile(SCHEDULE).custom_hooks[0]
    options = {
        key: cfg[key]
        for key in ('momentum', 'gamma', 'update_buffers')
    }
    norm = nn.BatchNorm2d(3)
    average = MODELS.build(dict(type=cfg.ema_type, model=norm, **options))
    return norm, average


def test_small_statistics_are_soon_those_of_the_model(averaged):
    """Not what norms begin with, which may be a million times as large."""
    norm, average = averaged
    generator = torch.Generator().manual_seed(0)
    norm.train()
    for _ in range(250):
        norm(0.2 + 1e-3 * torch.randn(2, 3, 8, 8, generator=generator))
        average.update_parameters(norm)
    torch.testing.assert_close(
        average.module.running_var, torch.full((3, ), 1e-6), rtol=0.2, atol=0.)
    torch.testing.assert_close(
        average.module.running_mean,
        torch.full((3, ), 0.2),
        rtol=1e-3,
        atol=0.)


def test_late_it_spans_a_hundred_iterations(averaged):
    norm, average = averaged
    for step in range(1201):
        norm.weight.data.fill_(float(step >= 1100))
        average.update_parameters(norm)
    expected = 1 - (1 - 0.01)**101
    torch.testing.assert_close(
        average.module.weight, torch.full((3, ), expected))
