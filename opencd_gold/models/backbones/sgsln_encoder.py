"""Encoder of SGSLN: half of the channels pass each unit untouched.

"Exchanging Dual Encoder-Decoder: A New Strategy for Change Detection with
Semantic Guidance and Spatial Localization" (https://arxiv.org/abs/2311.11302).
"""
from functools import partial
from typing import Callable, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, Sequential
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils import checkpoint as activation_checkpoint

from opencd_gold.models.layers import (
    ConvBlockAttention,
    DefaultInitConvModule,
    stages_of,
)
from opencd_gold.registry import MODELS


class HalfConv(BaseModule):
    """Convolve the even channels, keep the odd ones.

    ``[dropout(relu(bn(conv3x3(even)))), odd]``: what was interleaved lies
    one after the other then, so that a stack of units also shuffles.

    Args:
        channels (int): C, even.
        dropout (float): Of single elements.
        norm_cfg (dict): Norm.
    """

    def __init__(self, channels: int, dropout: float, norm_cfg: dict):
        super().__init__()
        half = channels // 2
        self.conv = DefaultInitConvModule(
            half, half, 3, padding=1, norm_cfg=norm_cfg)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        half = self.dropout(self.conv(x[:, 0::2]))
        return torch.cat([half, x[:, 1::2]], dim=1)


class HalfDown(BaseModule):
    """Halve the resolution: half of the channels convolved, half pooled.

    ``[dropout(relu(bn(conv3x3_stride2(x)))), maxpool2(x)]``. At odd sizes
    the pooling rounds up as the convolution does; the authors' rounds down
    and fails.

    Args:
        channels (int): C.
        dropout (float): Of single elements.
        norm_cfg (dict): Norm.
    """

    def __init__(self, channels: int, dropout: float, norm_cfg: dict):
        super().__init__()
        self.conv = DefaultInitConvModule(
            channels, channels, 3, stride=2, padding=1, norm_cfg=norm_cfg)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, 2C, ceil(H / 2), ceil(W / 2))``."""
        pooled = F.max_pool2d(x, 2, ceil_mode=True)
        return torch.cat([self.dropout(self.conv(x)), pooled], dim=1)


class HalfStage(BaseModule):
    """Down, two units, a full convolution, attention around a residual.

    Args:
        channels (int): C of the stage before; this one has 2C.
        dropout (float): Of single elements.
        norm_cfg (dict): Norm.
    """

    def __init__(self, channels: int, dropout: float, norm_cfg: dict):
        super().__init__()
        wide = 2 * channels
        self.down = HalfDown(channels, dropout, norm_cfg)
        self.units = Sequential(
            HalfConv(wide, dropout, norm_cfg),
            HalfConv(wide, dropout, norm_cfg))
        self.merge = DefaultInitConvModule(
            wide, wide, 3, padding=1, norm_cfg=norm_cfg)
        self.attention = ConvBlockAttention(wide)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, 2C, ceil(H / 2), ceil(W / 2))``."""
        x = self.merge(self.units(self.down(x)))
        return x + self.attention(x)


@MODELS.register_module()
class SGSLNEncoder(BaseModule):
    """Light encoder of five stages at strides 1, 2, 4, 8, 16.

    In SGSLN the dates exchange every second channel after the fourth stage:
    :class:`~opencd_gold.models.layers.ChannelExchange` with ``offset=1`` in
    the ``stage_interactions`` of an
    :class:`~opencd_gold.models.InteractingDetector`.

    Args:
        in_channels (int): Bands of the image. Default: 3.
        base_channels (int): Width of the first stage, a multiple of 4; each
            further one doubles it. Default: 32.
        dropout (float): Of single elements, in every unit. Default: 0.1.
        out_indices (Sequence[int]): Which of the five stages to return.
            Default: ``(1, 2, 3, 4)``.
        frozen_stages (int): The first stage and this many more keep their
            weights and statistics; -1 freezes nothing. Default: -1.
        norm_eval (bool): Keep batch statistics fixed in training. Default:
            False.
        with_cp (bool): Recompute activations in the backward pass to save
            memory. Default: False.
        norm_cfg (dict, optional): Default: None, batch normalisation.
        init_cfg (dict, optional): Default: None, PyTorch's initialisation.

    Raises:
        ValueError: If ``base_channels`` is no multiple of 4.
    """

    def __init__(self,
                 in_channels: int = 3,
                 base_channels: int = 32,
                 dropout: float = 0.1,
                 out_indices: Sequence[int] = (1, 2, 3, 4),
                 frozen_stages: int = -1,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 norm_cfg: Optional[dict] = None,
                 init_cfg=None):
        super().__init__(init_cfg)
        if base_channels <= 0 or base_channels % 4:
            raise ValueError('SGSLNEncoder: base_channels must be a multiple '
                             f'of 4, got {base_channels}')
        norm_cfg = norm_cfg or dict(type='BN')
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        unit = partial(HalfConv, base_channels, dropout, norm_cfg)
        stem = Sequential(
            DefaultInitConvModule(
                in_channels, base_channels, 3, padding=1, norm_cfg=norm_cfg),
            unit(), unit())
        self.stages = nn.ModuleList([stem] + [
            HalfStage(base_channels * 2**index, dropout, norm_cfg)
            for index in range(4)
        ])
        self.out_channels = tuple(
            base_channels * 2**index for index in range(5))
        self._freeze()

    def _freeze(self) -> None:
        for stage in self.stages[:self.frozen_stages + 1]:
            stage.eval()
            stage.requires_grad_(False)

    def train(self, mode: bool = True):
        """Set the mode, but keep frozen parts in evaluation mode."""
        super().train(mode)
        self._freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Run one of the five stages on the map of the stage before it."""
        stage = self.stages[index]
        if self.with_cp and x.requires_grad:
            return activation_checkpoint.checkpoint(
                stage, x, use_reentrant=False)
        return stage(x)

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Encode images.

        Args:
            x (Tensor): ``(N, in_channels, H, W)``, normalised.

        Returns:
            tuple[Tensor]: Features of the stages in ``out_indices``.
        """
        outs = []
        for index in range(len(self.stages)):
            x = self.stage(index, x)
            outs.append(x)
        return tuple(outs[index] for index in self.out_indices)


@stages_of.register
def _(backbone: SGSLNEncoder) -> List[Callable[[Tensor], Tensor]]:
    return [
        partial(backbone.stage, index)
        for index in range(len(backbone.stages))
    ]
