"""Maps that distillation losses compare, and means over valid pixels."""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from opencd_gold.models.layers import mean_max


def resize_target(target: Tensor, size) -> Tensor:
    """Labels ``(N, H, W)`` at ``size``, nearest; ``(N, 1, h, w)``."""
    target = target.unsqueeze(1)
    if target.shape[-2:] == tuple(size):
        return target
    return F.interpolate(target.float(), size=size).to(target.dtype)


def valid_mask(target: Optional[Tensor], size, ignore_index: int):
    """1 where a pixel counts, ``(N, 1, h, w)`` float; None without a target.

    Args:
        target (Tensor, optional): ``(N, H, W)``.
        size (tuple[int, int]): Of the mask.
        ignore_index (int): Label of the pixels that do not count.
    """
    if target is None:
        return None
    return (resize_target(target, size) != ignore_index).float()


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
    if torch.is_grad_enabled() and (x.requires_grad or y.requires_grad):
        return _FeatureDistance.apply(x, y)
    return _feature_distance(x, y)[0]


def _feature_distance(x: Tensor, y: Tensor) -> Tuple[Tensor, ...]:
    """The distance, and what its gradient needs."""
    norm = torch.linalg.vector_norm
    euclidean = (norm(x - y, dim=1, keepdim=True).square() + 1e-6).sqrt()
    norm_x = norm(x, dim=1, keepdim=True).clamp_min(1e-12)
    norm_y = norm(y, dim=1, keepdim=True).clamp_min(1e-12)
    cosine = (x * y).sum(1, keepdim=True) / (norm_x * norm_y)
    distance = (euclidean + 1 - cosine) / 2
    return distance, euclidean, norm_x, norm_y, cosine


class _FeatureDistance(torch.autograd.Function):
    r"""Feature distance with its gradient written out.

    With the Euclidean distance e and the cosine c:

    .. math::
        \frac{\partial d}{\partial x} = \frac{1}{2} \Big(
        \frac{x - y}{e} + \frac{c\, x}{|x|^2} - \frac{y}{|x||y|} \Big)

    Two passes a date instead of ten.
    """

    @staticmethod
    def forward(ctx, x, y):
        distance, *parts = _feature_distance(x, y)
        ctx.save_for_backward(x, y, *parts)
        return distance

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, y, euclidean, norm_x, norm_y, cosine = ctx.saved_tensors
        grad = grad / 2
        apart = grad / euclidean
        other = -apart - grad / (norm_x * norm_y)
        cosine = grad * cosine
        grad_x = (x * (apart + cosine / norm_x.square())).addcmul_(y, other)
        grad_y = (y * (apart + cosine / norm_y.square())).addcmul_(x, other)
        return grad_x, grad_y


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
    mean, top = mean_max(x, (2, 3))
    return torch.sigmoid((mean + top) / 2)


def spatial_attention(x: Tensor) -> Tensor:
    """``sigmoid(mean + max)`` over channels, ``(N, 1, h, w)``."""
    mean, top = mean_max(x, (1, ))
    return torch.sigmoid(mean + top)
