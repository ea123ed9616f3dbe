"""One step of a top-down path: upsample, concatenate, 1x1 convolution."""
from typing import Optional

import torch
import torch.nn.functional as F
from mmcv.cnn import build_activation_layer
from mmengine.model import BaseModule
from torch import Tensor

from .conv_module import DefaultInitConvModule


class UpsampleFuse(BaseModule):
    """Deep map to the size of the skip, both through a 1x1 convolution.

    ``act(norm(conv1x1([up(deep), skip])))`` with nearest upsampling. A 1x1
    convolution of the concatenation is the sum of two, and that of the deep
    map commutes with the upsampling; so the deep map, which is the wider
    one, is convolved before it is upsampled. Equal up to rounding.

    Args:
        deep_channels (int): Of the deep map.
        skip_channels (int): Of the skip.
        out_channels (int): Of the result.
        norm_cfg (dict, optional): Default: None, batch normalisation.
        act_cfg (dict, optional): Default: None, ReLU.
        plain (bool): Upsample and concatenate first; for comparison.
            Default: False.
    """

    def __init__(self,
                 deep_channels: int,
                 skip_channels: int,
                 out_channels: int,
                 norm_cfg: Optional[dict] = None,
                 act_cfg: Optional[dict] = None,
                 plain: bool = False):
        super().__init__()
        self.channels = (deep_channels, skip_channels)
        self.plain = plain
        self.fuse = DefaultInitConvModule(
            deep_channels + skip_channels,
            out_channels,
            1,
            bias=False,
            norm_cfg=norm_cfg or dict(type='BN'),
            act_cfg=None)
        self.act = build_activation_layer(act_cfg or dict(type='ReLU'))

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Fuse.

        Args:
            deep (Tensor): ``(N, C_deep, h, w)``.
            skip (Tensor): ``(N, C_skip, H, W)``.

        Returns:
            Tensor: ``(N, C_out, H, W)``.
        """
        size = skip.shape[-2:]
        if self.plain:
            deep = F.interpolate(deep, size=size)
            return self.act(self.fuse(torch.cat([deep, skip], dim=1)))
        conv = self.fuse.conv
        for_deep, for_skip = conv.weight.split(self.channels, dim=1)
        deep = F.interpolate(F.conv2d(deep, for_deep), size=size)
        fused = F.conv2d(skip, for_skip, conv.bias) + deep
        return self.act(self.fuse.norm(fused) if self.fuse.with_norm
                        else fused)
