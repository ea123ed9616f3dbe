"""Pyramid pooling and a top-down path of HRMNet."""
from typing import Optional, Sequence, Tuple

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from opencd_gold.models.layers import (
    FeatureFusion,
    check_batch,
    check_channels,
    resize_map,
)
from opencd_gold.registry import MODELS


def _cells(size: int, cells: int, like: Tensor) -> Tensor:
    """Matrix ``(cells, size)`` whose rows average overlapping cells."""
    place = torch.arange(size, device=like.device)
    cell = torch.arange(cells, device=like.device)[:, None]
    inside = (place >= cell * size // cells) & (
        place < -(-(cell + 1) * size // cells))
    inside = inside.to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


class AverageCells(nn.Module):
    """``nn.AdaptiveAvgPool2d`` by two products of matrices.

    The form that an exported model computes at any size.

    Args:
        cells (int): Rows and columns of the result.
    """

    def __init__(self, cells: int):
        super().__init__()
        self.cells = cells

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C, cells, cells)``."""
        height, width = x.shape[-2:]
        return (_cells(height, self.cells, x) @ x
                @ _cells(width, self.cells, x).t())


class PyramidPooling(BaseModule):
    """``relu(bn(conv3x3([x, pooled at each scale])))``.

    Pooling as in PSPNet (https://arxiv.org/abs/1612.01105), resized with
    aligned corners. At scale 1 the batch norm sees one value a sample: a
    batch of one cannot train.

    Args:
        in_channels (int): Of the map.
        channels (int): Of each scale and of the result.
        pool_scales (Sequence[int]): Sides of the pooled maps.
        norm_cfg (dict): Norm.
        act_cfg (dict): Activation.
    """

    def __init__(self, in_channels: int, channels: int,
                 pool_scales: Sequence[int], norm_cfg: dict, act_cfg: dict):
        super().__init__()
        cfg = dict(bias=True, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.pools = nn.ModuleList(
            nn.Sequential(
                AverageCells(cells),
                ConvModule(in_channels, channels, 1, **cfg))
            for cells in pool_scales)
        self.fuse = ConvModule(
            in_channels + len(pool_scales) * channels,
            channels,
            3,
            padding=1,
            **cfg)

    def forward(self, x: Tensor) -> Tensor:
        """Pool.

        Args:
            x (Tensor): ``(N, in_channels, H, W)``.

        Returns:
            Tensor: ``(N, channels, H, W)``.

        Raises:
            ValueError: In training, for a batch of one that batch norm sees
                at scale 1.
        """
        maps = [x]
        for average, conv in self.pools:
            cells = average(x)
            check_batch(self, conv.norm, cells)
            maps.append(resize_map(conv(cells), x.shape[-2:], True))
        return self.fuse(torch.cat(maps, dim=1))


@MODELS.register_module()
class ContextPyramid(BaseModule):
    r"""All stages with the width of one, each seeing the deeper ones.

    The encoder's second half of HRMNet (https://arxiv.org/abs/2305.19513).
    For stages :math:`c_2 ... c_5`:

    .. math::
        p_5 = PPM(c_5), \quad p_k = FFM(p_{k+1}, r_k(c_k))

    with r a 1x1 convolution with norm and ReLU, PPM pyramid pooling and FFM
    :class:`~opencd_gold.models.layers.FeatureFusion`.

    Args:
        in_channels (Sequence[int]): Channels of the stages, finest first.
        channels (int): Of every result. Default: 64.
        pool_scales (Sequence[int]): Default: ``(1, 2, 3, 5)``.
        attention (bool): See FFM; AR-CDNet has it. Default: False.
        norm_cfg (dict, optional): Default: None, batch normalisation.
        act_cfg (dict, optional): Default: None, ReLU.
        init_cfg (dict, optional): Default: None.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 channels: int = 64,
                 pool_scales: Sequence[int] = (1, 2, 3, 5),
                 attention: bool = False,
                 norm_cfg: Optional[dict] = None,
                 act_cfg: Optional[dict] = None,
                 init_cfg=None):
        super().__init__(init_cfg)
        norm_cfg = norm_cfg or dict(type='BN')
        act_cfg = act_cfg or dict(type='ReLU')
        self.in_channels = tuple(in_channels)
        self.ppm = PyramidPooling(self.in_channels[-1], channels, pool_scales,
                                  norm_cfg, act_cfg)
        self.reduce = nn.ModuleList(
            ConvModule(
                width, channels, 1, bias=True, norm_cfg=norm_cfg,
                act_cfg=act_cfg) for width in self.in_channels[:-1])
        self.ffm = nn.ModuleList(
            FeatureFusion(channels, attention, norm_cfg, act_cfg)
            for _ in self.in_channels[:-1])

    def forward(self, inputs: Sequence[Tensor]) -> Tuple[Tensor, ...]:
        """Decode the stages.

        Args:
            inputs (Sequence[Tensor]): Stages ``(N, C_i, h_i, w_i)``, finest
                first. What comes before them (the image, where the detector
                passes it on) goes through as it is.

        Returns:
            tuple[Tensor]: What came before, then ``(N, channels, h_i, w_i)``
            of every stage.

        Raises:
            ValueError: If the last maps are not the stages of
                ``in_channels``.
        """
        count = len(self.in_channels)
        before, stages = inputs[:-count], inputs[-count:]
        check_channels(self, self.in_channels, stages)
        outs = [self.ppm(stages[-1])]
        for index in reversed(range(count - 1)):
            shallow = self.reduce[index](stages[index])
            outs.append(self.ffm[index](outs[-1], shallow))
        return (*before, *reversed(outs))
