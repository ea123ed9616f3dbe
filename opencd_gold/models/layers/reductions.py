"""Reductions of feature maps with a cheap gradient.

PyTorch's backward of ``mean`` and ``amax`` makes several maps of full size,
some in another memory format than the map, and counts ties slowly. On a CPU
that was a tenth of a training step of GOLD.
"""
from typing import Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _Mean(torch.autograd.Function):
    """Mean, whose gradient has the memory format of the map."""

    @staticmethod
    def forward(ctx, x, dim):
        ctx.save_for_backward(x)
        return x.mean(dim, keepdim=True)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, = ctx.saved_tensors
        count = x.numel() // grad.numel()
        return torch.empty_like(x).copy_(grad / count), None


class _MeanMax(torch.autograd.Function):
    """Mean and maximum with one gradient, in the memory format of the map.

    As in ``amax``, equal largest values share the gradient evenly.
    """

    @staticmethod
    def forward(ctx, x, dim):
        mean, top = x.mean(dim, keepdim=True), x.amax(dim, keepdim=True)
        ctx.save_for_backward(x, top)
        ctx.dim = dim
        return mean, top

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_mean, grad_top):
        x, top = ctx.saved_tensors
        is_top = torch.eq(x, top, out=torch.empty_like(x))
        grad_top = grad_top / is_top.sum(ctx.dim, keepdim=True)
        count = x.numel() // top.numel()
        return is_top.mul_(grad_top).add_(grad_mean / count), None


def mean(x: Tensor, dim: Tuple[int, ...]) -> Tensor:
    """Mean, once differentiable.

    Args:
        x (Tensor): Any shape.
        dim (tuple[int, ...]): Axes, which stay with length 1.

    Returns:
        Tensor: ``x.mean(dim, keepdim=True)``.
    """
    if x.requires_grad and torch.is_grad_enabled():
        return _Mean.apply(x, dim)
    return x.mean(dim, keepdim=True)


def mean_max(x: Tensor, dim: Tuple[int, ...]) -> Tuple[Tensor, Tensor]:
    """Mean and maximum over the same axes.

    Args:
        x (Tensor): Any shape.
        dim (tuple[int, ...]): Axes, which stay with length 1.

    Returns:
        tuple[Tensor, Tensor]: ``x.mean(dim, keepdim=True)`` and
        ``x.amax(dim, keepdim=True)``, once differentiable.
    """
    if x.requires_grad and torch.is_grad_enabled():
        return _MeanMax.apply(x, dim)
    return x.mean(dim, keepdim=True), x.amax(dim, keepdim=True)
