"""A fast form and the plain one, compared: logits, losses, gradients."""
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from models.contract import CONFIGS, total
from torch import nn

from opencd_gold.registry import MODELS


def read(path):
    """``model`` of a shipped config, without weights from files."""
    model = Config.fromfile(CONFIGS / path).model
    for name in ('backbone', 'backbone_to'):
        if name in model:
            model[name].pop('init_cfg', None)
    return model


def build(path):
    init_default_scope('opencd_gold')
    return MODELS.build(read(path)).eval()


def batch(bands, size=64):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(2, bands, size, size, generator=generator)
    samples = []
    for _ in range(2):
        label = torch.rand(1, size, size, generator=generator) < 0.3
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=label.long())))
    return inputs, samples


def check_forms(fast, plain):
    """Fast and plain config give the same numbers, in evaluation mode.

    Args:
        fast (str): Path below ``configs/``.
        plain (str): Path below ``configs/``.
    """
    torch.manual_seed(0)
    fast, plain = build(fast), build(plain)
    for module in fast.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    plain.load_state_dict(fast.state_dict(), strict=True)
    inputs, samples = batch(sum(fast.channels))

    with torch.no_grad():
        outputs = [model(inputs, mode='tensor') for model in (fast, plain)]
    scale = outputs[1].abs().max().item()
    assert scale > 0.01
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-4 * max(1, scale))

    results = []
    for model in (fast, plain):
        model.double()  # A ReLU that rounding flips is no difference.
        losses = model.loss(inputs.double(), samples)
        total(losses).backward()
        results.append((losses, {
            name: parameter.grad
            for name, parameter in model.named_parameters()
        }))
    (losses, grads), (plain_losses, plain_grads) = results
    assert list(losses) == list(plain_losses)
    for name, value in losses.items():
        torch.testing.assert_close(
            value, plain_losses[name], rtol=1e-5, atol=1e-6)
    for name, grad in grads.items():
        expected = plain_grads[name]
        error = (grad - expected).norm() / expected.norm().clamp(min=1e-9)
        assert error < 1e-6, (name, error)
