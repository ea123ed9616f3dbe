"""Attention from average and largest values, over positions and channels."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .reductions import mean_max


def channel_kernel(channels: int) -> int:
    """Length of the kernel that looks along the channels.

    ECA-Net (https://arxiv.org/abs/1910.03151), equation 12: the odd number
    at or above the whole part of ``(log2(C) + 1) / 2``.

    Args:
        channels (int): C.

    Returns:
        int: 3 for 32 and 64, 5 for 128 to 512.
    """
    size = int((math.log2(channels) + 1) / 2)
    return size if size % 2 else size + 1


def pool_positions(*maps: Tensor) -> Tensor:
    """Mean and maximum over the positions of each map.

    Args:
        maps (Tensor): k maps ``(N, C, H, W)``.

    Returns:
        Tensor: ``(N, 2 k, C)``: mean and maximum of the first map, then of
        the next.
    """
    pooled = [part for x in maps for part in mean_max(x, (2, 3))]
    return torch.stack([part.flatten(1) for part in pooled], dim=1)


def pool_channels(*maps: Tensor) -> Tensor:
    """Mean and maximum over the channels of each map.

    Args:
        maps (Tensor): k maps ``(N, C, H, W)``.

    Returns:
        Tensor: ``(N, 2 k, H, W)``, in the order of :func:`pool_positions`.
    """
    return torch.cat([part for x in maps for part in mean_max(x, (1, ))], 1)


def _conv_channels(inputs: int, channels: int) -> nn.Conv1d:
    size = channel_kernel(channels)
    return nn.Conv1d(inputs, 1, size, padding=size // 2)


def _as_gate(weights: Tensor) -> Tensor:
    """``(N, 1, C)`` to ``(N, C, 1, 1)``."""
    return weights.transpose(1, 2).unsqueeze(-1)


class ConvBlockAttention(nn.Module):
    r"""Weigh channels, then positions.

    .. math::
        x_1 = x \sigma(k([avg_{hw}(x), max_{hw}(x)])), \quad
        x_2 = x_1 \sigma(s([avg_c(x_1), max_c(x_1)]))

    with k a convolution along the channels and s a 7x7 convolution. The form
    of SGSLN (https://arxiv.org/abs/2311.11302); CBAM itself
    (https://arxiv.org/abs/1807.06521) has a perceptron in the place of k.

    Args:
        channels (int): C.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channel_conv = _conv_channels(2, channels)
        self.spatial_conv = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        x = x * _as_gate(torch.sigmoid(self.channel_conv(pool_positions(x))))
        return x * torch.sigmoid(self.spatial_conv(pool_channels(x)))


class DoublePoolingFusion(nn.Module):
    r"""Fuse two dates by weights that they share out between each other.

    Double pooling fuse attention of SGSLN (https://arxiv.org/abs/2311.11302;
    TFAM in the paper). From average and largest values of both dates, two
    convolutions along the channels and two over the positions score the
    dates; softmax between the dates makes weights
    :math:`c_a + c_b = s_a + s_b = 1`:

    .. math:: y = (c_a + s_a + 1) a + (c_b + s_b + 1) b

    A softmax of two is a sigmoid of the difference, and the difference of
    two convolutions of one input is one convolution. So with the difference
    of the kernels

    .. math:: y = a + 3 b + (c_a + s_a) (a - b)

    Args:
        channels (int): C of each date.
        plain (bool): Compute the first form instead of the second; for
            comparison. Default: False.
    """

    def __init__(self, channels: int, plain: bool = False):
        super().__init__()
        self.plain = plain
        self.channel_conv1 = _conv_channels(4, channels)
        self.channel_conv2 = _conv_channels(4, channels)
        self.spatial_conv1 = nn.Conv2d(4, 1, 7, padding=3)
        self.spatial_conv2 = nn.Conv2d(4, 1, 7, padding=3)

    def forward(self, feat_from: Tensor, feat_to: Tensor) -> Tensor:
        """Fuse two dates.

        Args:
            feat_from (Tensor): ``(N, C, H, W)``.
            feat_to (Tensor): Same shape.

        Returns:
            Tensor: Same shape.
        """
        channel = pool_positions(feat_from, feat_to)
        spatial = pool_channels(feat_from, feat_to)
        if self.plain:
            channel = torch.stack(
                [self.channel_conv1(channel),
                 self.channel_conv2(channel)]).softmax(0)
            spatial = torch.stack(
                [self.spatial_conv1(spatial),
                 self.spatial_conv2(spatial)]).softmax(0)
            gates = [_as_gate(c) + s + 1 for c, s in zip(channel, spatial)]
            return gates[0] * feat_from + gates[1] * feat_to
        channel = _difference(F.conv1d, self.channel_conv1,
                              self.channel_conv2, channel)
        spatial = _difference(F.conv2d, self.spatial_conv1,
                              self.spatial_conv2, spatial)
        apart = feat_from - feat_to
        fused = feat_from.add(feat_to, alpha=3)
        fused = torch.addcmul(fused, apart, _as_gate(torch.sigmoid(channel)))
        return torch.addcmul(fused, apart, torch.sigmoid(spatial))


def _difference(conv, first: nn.Module, second: nn.Module,
                x: Tensor) -> Tensor:
    """``first(x) - second(x)`` by one convolution."""
    return conv(
        x,
        first.weight - second.weight,
        first.bias - second.bias,
        padding=first.padding)
