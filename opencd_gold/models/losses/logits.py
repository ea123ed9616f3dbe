"""One sigmoid output as two classes."""
import torch
from torch import Tensor


def two_classes(logits: Tensor) -> Tensor:
    """Logits of two classes for one sigmoid output.

    Args:
        logits (Tensor): ``(N, K, H, W)``.

    Returns:
        Tensor: ``(0, z)`` of one channel z, whose softmax is the sigmoid of
        z; other logits as they are.
    """
    if logits.shape[1] > 1:
        return logits
    return torch.cat([torch.zeros_like(logits), logits], dim=1)
