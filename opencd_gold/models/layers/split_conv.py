"""A convolution over a concatenation, without the concatenation."""
from typing import Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from opencd_gold.compat import is_compiling


def conv_over_parts(conv: nn.Conv2d, parts: Sequence[Tensor]) -> Tensor:
    """Convolve the channel-wise concatenation of ``parts``, part by part.

    ``conv(cat(parts)) = sum_i conv_i(parts_i) + bias`` with the kernels of
    ``conv`` split along their input channels. Sizes of the parts may be
    broadcast on the batch axis only.

    Args:
        conv (nn.Conv2d): Weight ``(C', sum(C_i), k, k)``, ungrouped.
        parts (Sequence[Tensor]): ``(N, C_i, H, W)`` each.

    Returns:
        Tensor: ``(N, C', H', W')``, equal to the plain form up to rounding.
    """
    kernels = conv.weight.split([part.shape[1] for part in parts], dim=1)
    total = None
    for part, kernel in zip(parts, kernels):
        bias = conv.bias if total is None else None
        out = F.conv2d(part, kernel, bias, conv.stride, conv.padding,
                       conv.dilation)
        total = out if total is None else total.add_(out)
    return total


def add(total: Tensor, part: Tensor) -> Tensor:
    """Sum, in ``total`` itself where that is quick.

    On CPUs bfloat16 sums in place are several times slower.
    """
    in_place = total.dtype is torch.float32
    return total.add_(part) if in_place else total + part


def dates_apart(x: Tensor, count: int = 2) -> Tuple[Tensor, ...]:
    """Take apart what was concatenated on the batch axis.

    As ``chunk``, which ONNX cannot do where the batch is free.

    Args:
        x (Tensor): ``(count N, ...)``.
        count (int): Default: 2.

    Returns:
        tuple[Tensor]: ``count`` views ``(N, ...)``.
    """
    return x.unflatten(0, (count, -1)).unbind()


def resize_map(x: Tensor, size, align_corners: bool = False) -> Tensor:
    """Resize ``x`` (N, C, h, w) to ``size``, bilinear, where it differs.

    mmsegmentation's ``resize`` turns sizes into plain numbers, which would
    fix those of an exported model. For the same reason export resizes always:
    what is equal at the example's size may differ at another.
    """
    if not is_compiling() and x.shape[-2:] == tuple(size):
        return x
    return F.interpolate(
        x, tuple(size), mode='bilinear', align_corners=align_corners)


def conv_over_scales(conv: nn.Conv2d,
                     maps: Sequence[Tensor],
                     size,
                     align_corners: bool = False) -> Tensor:
    """Convolve the concatenation of ``maps``, resized to ``size``.

    A 1x1 convolution of the concatenation equals the sum of 1x1 convolutions
    of its parts, and commutes with the bilinear resize. So the arithmetic is
    done at each map's own resolution and the wide map is never built; the
    result is the same up to rounding.

    Args:
        conv (nn.Conv2d): 1x1, weight ``(C', sum(C_i), 1, 1)``.
        maps (Sequence[Tensor]): ``(N, C_i, h_i, w_i)`` each.
        size (tuple[int, int]): Height and width of the result.
        align_corners (bool): Of the bilinear resize. Default: False.

    Returns:
        Tensor: ``(N, C', *size)``.
    """
    kernels = conv.weight.split([x.shape[1] for x in maps], dim=1)
    total = None
    for x, kernel in zip(maps, kernels):
        bias = conv.bias if total is None else None
        part = resize_map(F.conv2d(x, kernel, bias), size, align_corners)
        total = part if total is None else add(total, part)
    return total
