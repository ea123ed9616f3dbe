"""Pyramid fusion of GOLD: every stage to one map at the finest stride."""
from typing import Sequence

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from opencd_gold.models.layers import (
    check_channels,
    conv_over_scales,
    resize_map,
)
from opencd_gold.registry import MODELS


@MODELS.register_module()
class MultiScaleFusion(BaseModule):
    """Fuse the stages of an encoder at the resolution of the finest.

    GOLD, section "pyramid fusion": each stage through a 1x1 convolution with
    batch normalisation and ReLU, resized to the finest stage, concatenated,
    and through a 1x1 convolution with batch normalisation and, in Changer,
    ReLU.

    The last convolution is done at each stage's own resolution, see
    :func:`~opencd_gold.models.layers.conv_over_scales`.

    Args:
        in_channels (Sequence[int]): Channels of the stages, finest first.
        channels (int): Channels of each stage inside. Default: 128.
        out_channels (int, optional): Of the result. Default: None,
            ``channels``.
        norm_cfg (dict, optional): Default: None, batch normalisation.
        act_cfg (dict, optional): Of the lateral convolutions. Default:
            None, ReLU.
        out_act_cfg (dict, optional): After the last convolution. Default:
            None, nothing.
        bias (bool): Of the convolutions. Default: True.
        align_corners (bool): Of the bilinear resize. Default: False.
        plain (bool): Compute in the order of the description above instead
            (resize, concatenate, convolve); for comparison. Default: False.
        init_cfg (dict, optional): Default: None, PyTorch's initialisation.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 channels: int = 128,
                 out_channels: int = None,
                 norm_cfg: dict = None,
                 act_cfg: dict = None,
                 out_act_cfg: dict = None,
                 bias: bool = True,
                 align_corners: bool = False,
                 plain: bool = False,
                 init_cfg=None):
        super().__init__(init_cfg)
        norm_cfg = norm_cfg or dict(type='BN')
        act_cfg = act_cfg or dict(type='ReLU')
        self.in_channels = tuple(in_channels)
        self.channels = channels
        self.align_corners = align_corners
        self.plain = plain
        self.lateral_convs = nn.ModuleList(
            ConvModule(
                width, channels, 1, bias=bias, norm_cfg=norm_cfg,
                act_cfg=act_cfg) for width in self.in_channels)
        self.fusion_conv = ConvModule(
            channels * len(self.in_channels),
            out_channels or channels,
            1,
            bias=bias,
            norm_cfg=norm_cfg,
            act_cfg=out_act_cfg)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Fuse.

        Args:
            inputs (Sequence[Tensor]): Stages ``(N, C_i, h_i, w_i)``, finest
                first.

        Returns:
            Tensor: ``(N, out_channels, h_0, w_0)``.

        Raises:
            ValueError: If the stages are not those of ``in_channels``.
        """
        check_channels(self, self.in_channels, inputs)
        size = inputs[0].shape[-2:]
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, inputs)]
        if self.plain:
            stacked = [
                resize_map(x, size, self.align_corners) for x in laterals
            ]
            return self.fusion_conv(torch.cat(stacked, dim=1))
        fused = conv_over_scales(self.fusion_conv.conv, laterals, size,
                                 self.align_corners)
        if self.fusion_conv.with_norm:
            fused = self.fusion_conv.norm(fused)
        if self.fusion_conv.with_activation:
            fused = self.fusion_conv.activate(fused)
        return fused
