"""A deep map guides a shallow one."""
from typing import Optional

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor

from .split_conv import resize_map


class FeatureFusion(BaseModule):
    """Fuse a deep map with a shallow one at the size of the latter.

    HRMNet and AR-CDNet (https://arxiv.org/abs/2305.19513):

    1. Resize the deep map, bilinear with aligned corners.
    2. ``shallow = bn(conv3x3(shallow))``; with ``attention`` (AR-CDNet)
       ``a = sigmoid(bn(conv3x3(deep)))`` and ``shallow = bn(conv3x3(shallow
       * a + shallow))``.
    3. ``relu(bn(conv3x3([deep, shallow])))``.

    Args:
        channels (int): Of both maps and of the result.
        attention (bool): Step 2 of AR-CDNet. Default: False.
        norm_cfg (dict, optional): Default: None, batch normalisation.
        act_cfg (dict, optional): Default: None, ReLU.
    """

    def __init__(self,
                 channels: int,
                 attention: bool = False,
                 norm_cfg: Optional[dict] = None,
                 act_cfg: Optional[dict] = None):
        super().__init__()
        act_cfg = act_cfg or dict(type='ReLU')
        common = dict(
            kernel_size=3,
            padding=1,
            bias=True,
            norm_cfg=norm_cfg or dict(type='BN'))
        self.lateral = ConvModule(channels, channels, act_cfg=None, **common)
        self.attention = ConvModule(
            channels, channels, act_cfg=None, **
            common) if attention else None
        self.fuse = ConvModule(
            2 * channels, channels, act_cfg=act_cfg, **common)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Fuse.

        Args:
            deep (Tensor): ``(N, C, h, w)``.
            shallow (Tensor): ``(N, C, H, W)``.

        Returns:
            Tensor: ``(N, C, H, W)``.
        """
        deep = resize_map(deep, shallow.shape[-2:], align_corners=True)
        if self.attention is not None:
            gate = torch.sigmoid(self.attention(deep))
            shallow = torch.addcmul(shallow, shallow, gate)
        return self.fuse(torch.cat([deep, self.lateral(shallow)], dim=1))
