"""The fast form of GOLD is the plain one, computed in another order."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from opencd_gold.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs/gold'
FAST = CONFIGS / 'gold_r18_4xb8-100k_hcd3s-512x512.py'
PLAIN = CONFIGS / 'gold_r18-plain-for-comparison_4xb8-100k_hcd3s-512x512.py'


def build(path):
    init_default_scope('opencd_gold')
    return MODELS.build(Config.fromfile(path).model).eval()


@pytest.fixture(scope='module')
def forms():
    """Both forms with the same weights and lived-in batch norms."""
    torch.manual_seed(0)
    fast, plain = build(FAST), build(PLAIN)
    for module in fast.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    plain.load_state_dict(fast.state_dict(), strict=True)
    return fast, plain


def batch():
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(2, 9, 64, 64, generator=generator)
    samples = []
    for _ in range(2):
        label = torch.rand(1, 64, 64, generator=generator) < 0.3
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=label.long())))
    return inputs, samples


def test_the_plain_form_does_nothing_clever(forms):
    _, plain = forms
    assert plain.neck.plain and plain.neck_to.plain
    assert plain.decode_head.plain and plain.teacher_head.plain
    assert not plain.batch_dates and not plain.channels_last
    assert plain.test_cfg.get('precision', 'float32') == 'float32'
    assert Config.fromfile(PLAIN).optim_wrapper.type == 'OptimWrapper'


def test_logits_agree(forms):
    inputs, _ = batch()
    with torch.no_grad():
        pairs = [model.forward_branches(inputs) for model in forms]
    for fast, plain in zip(*pairs):
        scale = plain.logits.abs().max().item()
        assert scale > 0.1
        torch.testing.assert_close(
            fast.logits, plain.logits, rtol=0, atol=1e-4 * max(1, scale))


def test_losses_and_gradients_agree(forms):
    results = []
    for model in forms:
        model.zero_grad()
        losses = model.loss(*batch())
        total = sum(v for k, v in losses.items() if 'loss' in k)
        total.backward()
        gradients = {
            name: parameter.grad
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        }
        results.append((losses, gradients))
    (fast, fast_grads), (plain, plain_grads) = results
    assert fast.keys() == plain.keys() and len(fast) > 10
    for name, value in plain.items():
        torch.testing.assert_close(fast[name], value, rtol=1e-4, atol=1e-5)
    assert fast_grads.keys() == plain_grads.keys()
    for name, value in plain_grads.items():
        scale = value.abs().max().item()
        torch.testing.assert_close(
            fast_grads[name], value, rtol=0, atol=1e-3 * scale + 1e-6)
