"""Parameter-free and light interaction of two dates between stages.

Changer (https://arxiv.org/abs/2209.08290), section 3: features of the two
dates are mixed after a stage of the encoder, and what comes out feeds the
next stage. Each layer takes the maps of both dates and returns both.
"""
from typing import Tuple

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from opencd_gold.registry import MODELS

from .checks import check_batch, check_channels

Pair = Tuple[Tensor, Tensor]


class _Exchange(BaseModule):
    """Swap every k-th index of ``axis``, k = int(1 / p), from ``offset``."""

    axis: int

    def __init__(self, p: float = 0.5, offset: int = 0):
        super().__init__()
        name = type(self).__name__
        if not 0 < p <= 1:
            raise ValueError(
                f'{name}: p must be above 0 and at most 1, got {p}')
        self.period = int(1 / p)
        if not 0 <= offset < self.period:
            raise ValueError(f'{name}: offset must be at least 0 and below '
                             f'{self.period}, got {offset}')
        self.offset = offset

    def forward(self, feat_from: Tensor, feat_to: Tensor) -> Pair:
        """Swap.

        Args:
            feat_from (Tensor): First date, ``(N, C, h, w)``.
            feat_to (Tensor): Other date, same shape.

        Returns:
            tuple[Tensor, Tensor]: Both dates, same shapes.
        """
        index = torch.arange(
            feat_from.shape[self.axis], device=feat_from.device)
        shape = [1] * feat_from.ndim
        shape[self.axis] = -1
        swapped = (index % self.period == self.offset).view(shape)
        return (torch.where(swapped, feat_to, feat_from),
                torch.where(swapped, feat_from, feat_to))


@MODELS.register_module()
class SpatialExchange(_Exchange):
    """Swap every k-th column of the maps between the dates, k = int(1 / p).

    All rows and channels of it; nothing is swapped along the height, as in
    the authors' code.

    Args:
        p (float): Share that is swapped, see :class:`ChannelExchange`.
            Default: 0.5.
        offset (int): First column that is swapped. Default: 0.

    Raises:
        ValueError: As :class:`ChannelExchange`.
    """

    axis = -1


@MODELS.register_module()
class ChannelExchange(_Exchange):
    """Swap every k-th channel between the dates, k = int(1 / p).

    Args:
        p (float): Share that is swapped, above 0 and at most 1. Only
            reciprocals of whole numbers are met; others give the next larger
            share, as in the authors' code (0.4 and 0.5 are the same).
            Default: 0.5.
        offset (int): First channel that is swapped, below k. 1 swaps the odd
            channels, as SGSLN does (https://arxiv.org/abs/2311.11302).
            Default: 0.

    Raises:
        ValueError: For another share or offset.
    """

    axis = 1


@MODELS.register_module()
class AggregationDistribution(BaseModule):
    r"""Aggregate both dates, distribute attention over channels to each.

    .. math::
        z = \delta(\mathrm{BN}(W_r \, gap(x_1 + x_2))), \quad
        (a_1, a_2) = \mathrm{softmax}(W_s z), \quad x_i' = a_i x_i

    with the softmax between the dates, channel by channel, and
    :math:`\delta` ReLU: the interaction of ChangerAD, the attention of
    selective kernels (https://arxiv.org/abs/1903.06586) between dates instead
    of kernels.

    Args:
        channels (int): Channels of each date.
        reduction (int): Of the hidden layer, which has at least eight
            channels. Default: 16.
        norm_cfg (dict, optional): Default: None, batch normalisation.
        init_cfg (dict, optional): Default: None.
    """

    def __init__(self,
                 channels: int,
                 reduction: int = 16,
                 norm_cfg: dict = None,
                 init_cfg=None):
        super().__init__(init_cfg)
        hidden = max(channels // reduction, 8)
        self.channels = channels
        self.reduce = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            build_norm_layer(norm_cfg or dict(type='BN'), hidden)[1],
            nn.ReLU(inplace=True))
        self.select = nn.Conv2d(hidden, 2 * channels, 1, bias=False)

    def forward(self, feat_from: Tensor, feat_to: Tensor) -> Pair:
        """Weigh.

        Args:
            feat_from (Tensor): First date, ``(N, C, h, w)``.
            feat_to (Tensor): Other date, same shape.

        Returns:
            tuple[Tensor, Tensor]: Both dates, same shapes.

        Raises:
            ValueError: For other channels, or in training for a batch of
                one, which batch norm cannot do.
        """
        check_channels(self, self.channels, feat_from, feat_to,
                       name='channels')
        pooled = (feat_from + feat_to).mean((2, 3), keepdim=True)
        check_batch(self, self.reduce[1], pooled)
        scores = self.select(self.reduce(pooled))
        weights = torch.stack(scores.chunk(2, dim=1)).softmax(0)
        return feat_from * weights[0], feat_to * weights[1]
