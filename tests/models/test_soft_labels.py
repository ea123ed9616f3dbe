"""Supervision by probabilities of change instead of classes."""
import pytest
import torch

from opencd_gold.models.losses import ChangeCrossEntropyLoss, ChangeDiceLoss

LOSSES = (ChangeCrossEntropyLoss(), ChangeCrossEntropyLoss((0.1, 0.9)),
          ChangeDiceLoss(), ChangeDiceLoss(mode='change'),
          ChangeDiceLoss(mode='code'))


@pytest.fixture
def target():
    torch.manual_seed(0)
    return torch.tensor([0, 1, 255, 1]).repeat(2, 6, 2)


@pytest.mark.parametrize('loss', LOSSES)
@pytest.mark.parametrize('channels', [1, 2])
def test_certain_labels_are_classes(loss, channels, target):
    logits = torch.randn(2, channels, 6, 8)
    torch.testing.assert_close(
        loss(logits, target.float()), loss(logits, target))


@pytest.mark.parametrize('channels', [1, 2])
def test_cross_entropy_by_hand(channels, target):
    logits = torch.randn(2, channels, 6, 8)
    soft = torch.rand(2, 6, 8).where(target != 255, 255.)
    prob = (logits.sigmoid()[:, 0] if channels == 1 else
            logits.softmax(1)[:, 1])
    valid = target != 255
    t, p = soft[valid], prob[valid]
    expected = -(t * p.log() + (1 - t) * (1 - p).log())
    torch.testing.assert_close(ChangeCrossEntropyLoss()(logits, soft),
                               expected.mean())
    weight = 0.1 * (1 - t) + 0.9 * t
    weighted = -(0.9 * t * p.log() + 0.1 * (1 - t) * (1 - p).log())
    torch.testing.assert_close(
        ChangeCrossEntropyLoss((0.1, 0.9))(logits, soft),
        weighted.sum() / weight.sum())


def test_dice_by_hand(target):
    logits = torch.randn(2, 1, 6, 8)
    soft = torch.rand(2, 6, 8).where(target != 255, 255.)
    valid = target != 255
    t, p = soft[valid], logits.sigmoid()[:, 0][valid]
    expected = 1 - (2 * (t * p).sum() + 1e-5) / (t.sum() + p.sum() + 1e-5)
    torch.testing.assert_close(
        ChangeDiceLoss(mode='change')(logits, soft), expected)


@pytest.mark.parametrize('loss', LOSSES)
def test_nothing_but_ignored_pixels(loss):
    logits = torch.randn(1, 1, 4, 4, requires_grad=True)
    value = loss(logits, torch.full((1, 4, 4), 255.))
    value.backward()
    assert torch.isfinite(value)
    assert logits.grad.abs().max() == 0
