"""Two classes from one sigmoid output, or from soft labels."""
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


def soft_classes(target: Tensor, ignore_index: int = 255) -> Tensor:
    """Shares of two classes for soft labels.

    Args:
        target (Tensor): Probability of change or ``ignore_index``,
            ``(N, H, W)``.
        ignore_index (int): Default: 255.

    Returns:
        Tensor: ``(N, 2, H, W)``: ``(1 - t, t)``, both 0 where ignored.
    """
    valid = target != ignore_index
    changed = target.where(valid, 0)
    return torch.stack([(1 - changed) * valid, changed], dim=1)
