"""Top-down decoder of one date."""
from typing import Optional, Sequence, Tuple

from mmengine.model import BaseModule
from torch import Tensor, nn

from opencd_gold.models.layers import UpsampleFuse
from opencd_gold.registry import MODELS


@MODELS.register_module()
class TopDownDecoder(BaseModule):
    """From the deepest stage up, one skip at a time.

    The semantic decoder of SGSLN (https://arxiv.org/abs/2311.11302), whose
    weights both dates share: ``d_k = relu(bn(conv1x1([up(d_{k+1}), c_k])))``
    with nearest upsampling and the width of ``c_k``; the deepest stage is
    ``d`` as it is.

    Args:
        in_channels (Sequence[int]): Channels of the stages, finest first.
        norm_cfg (dict, optional): Default: None, batch normalisation.
        act_cfg (dict, optional): Default: None, ReLU.
        plain (bool): See :class:`~opencd_gold.models.layers.UpsampleFuse`.
            Default: False.
        init_cfg (dict, optional): Default: None, PyTorch's initialisation.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 norm_cfg: Optional[dict] = None,
                 act_cfg: Optional[dict] = None,
                 plain: bool = False,
                 init_cfg=None):
        super().__init__(init_cfg)
        self.in_channels = tuple(in_channels)
        self.blocks = nn.ModuleList(
            UpsampleFuse(deep, skip, skip, norm_cfg, act_cfg, plain)
            for skip, deep in zip(self.in_channels, self.in_channels[1:]))

    def forward(self, inputs: Sequence[Tensor]) -> Tuple[Tensor, ...]:
        """Decode.

        Args:
            inputs (Sequence[Tensor]): Stages ``(N, C_i, h_i, w_i)``, finest
                first.

        Returns:
            tuple[Tensor]: The same shapes.

        Raises:
            ValueError: If the number of stages is not that of
                ``in_channels``.
        """
        return self.decode(inputs[-1], inputs[:-1])

    def decode(self, deepest: Tensor,
               skips: Sequence[Tensor]) -> Tuple[Tensor, ...]:
        """Decode a map with the skips that belong to it, finest first."""
        if len(skips) != len(self.blocks):
            raise ValueError(
                f'{type(self).__name__}: in_channels={self.in_channels} '
                f'expects {len(self.in_channels)} stages, got '
                f'{len(skips) + 1}')
        outs = [deepest]
        for block, skip in zip(reversed(self.blocks), reversed(skips)):
            outs.append(block(outs[-1], skip))
        return tuple(reversed(outs))
