"""A convolution over a concatenation, without the concatenation."""
from typing import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


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
