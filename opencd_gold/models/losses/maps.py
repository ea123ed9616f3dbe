"""Maps that distillation losses compare, and means over valid pixels."""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_target(target: Tensor, size) -> Tensor:
    """Labels ``(N, H, W)`` at ``size``, nearest; ``(N, 1, h, w)``."""
    target = target.unsqueeze(1)
    if target.shape[-2:] == tuple(size):
        return target
    return F.interpolate(target.float(), size=size).to(target.dtype)


def valid_mask(target: Optional[Tensor], size, ignore_index: int):
    """1 where a pixel counts, ``(N, 1, h, w)`` float; None if all do.

    Args:
        target (Tensor, optional): ``(N, H, W)``.
        size (tuple[int, int]): Of the mask.
        ignore_index (int): Label of the pixels that do not count.
    """
    if target is None:
        return None
    valid = resize_target(target, size) != ignore_index
    return None if bool(valid.all()) else valid.float()


def masked_mean(x: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Mean of ``x`` ``(N, C, h, w)`` over the pixels of ``valid``."""
    if valid is None:
        return x.mean()
    count = valid.sum() * (x.numel() / valid.numel())
    return (x * valid).sum() / count.clamp(min=1.)


def feature_distance(x: Tensor, y: Tensor) -> Tensor:
    r"""Mean of Euclidean and cosine distance over channels.

    :math:`\frac{1}{2} (\sqrt{\sum_c (x-y)^2 + 10^{-6}} + 1 - \cos(x, y))`.

    Args:
        x (Tensor): ``(N, C, h, w)``.
        y (Tensor): ``(N, C, h, w)``.

    Returns:
        Tensor: ``(N, 1, h, w)``.
    """
    euclidean = ((x - y).pow(2).sum(1, keepdim=True) + 1e-6).sqrt()
    cosine = (F.normalize(x, dim=1) * F.normalize(y, dim=1)).sum(
        1, keepdim=True)
    return (euclidean + 1 - cosine) / 2


def difference_map(x: Tensor, y: Tensor, form: str = 'code') -> Tensor:
    r"""Where two dates differ.

    ``'code'``: :func:`feature_distance` over its largest value in the
    sample (+ 1e-6). ``'paper'`` (GOLD, algorithm 5): :math:`\frac{1}{2}
    \tanh(2 d) + \frac{1}{2}`; it saturates at 1 for features of unit scale.

    Args:
        x (Tensor): ``(N, C, h, w)``.
        y (Tensor): ``(N, C, h, w)``.
        form (str): ``'code'`` or ``'paper'``.

    Returns:
        Tensor: ``(N, 1, h, w)``.
    """
    distance = feature_distance(x, y)
    if form == 'paper':
        return torch.tanh(2 * distance) * 0.5 + 0.5
    return distance / (distance.amax((1, 2, 3), keepdim=True) + 1e-6)


def channel_attention(x: Tensor) -> Tensor:
    """``sigmoid((mean + max) / 2)`` over positions, ``(N, C, 1, 1)``."""
    return torch.sigmoid(
        (x.mean((2, 3), keepdim=True) + x.amax((2, 3), keepdim=True)) / 2)


def spatial_attention(x: Tensor) -> Tensor:
    """``sigmoid(mean + max)`` over channels, ``(N, 1, h, w)``."""
    return torch.sigmoid(x.mean(1, keepdim=True) + x.amax(1, keepdim=True))
