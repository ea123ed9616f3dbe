"""Top-down decoder of one date."""
from typing import Optional, Sequence, Tuple

from mmengine.model import BaseModule
from torch import Tensor, nn

from opencd_gold.models.layers import UpsampleFuse, check_channels
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
            ValueError: If the stages are not those of ``in_channels``.
        """
        check_channels(self, self.in_channels, inputs)
        outs = [inputs[-1]]
        for block, skip in zip(reversed(self.blocks), inputs[-2::-1]):
            outs.append(block(outs[-1], skip))
        return tuple(reversed(outs))
