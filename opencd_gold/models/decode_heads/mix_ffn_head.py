"""Head of GOLD's two-branch baseline."""
import torch
from mmseg.models.backbones.mit import MixFFN
from mmseg.models.utils import nchw_to_nlc, nlc_to_nchw
from torch import Tensor

from opencd_gold.models.layers import check_channels
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

from .change_head import ChangeHead


@MODELS.register_module()
class MixFFNHead(ChangeHead):
    """Concatenate two dates, mix them with a feed-forward block, classify.

    ``fused = x + fc2(gelu(dwconv3x3(fc1(x))))`` with ``x`` the concatenation,
    then dropout and a 1x1 convolution: the authors' network without
    distillation. Their block also drops half of the residual branch in
    training by a misspelt argument; here it does not.

    Args:
        in_channels (int): Channels of each date.
        kwargs: See :class:`ChangeHead`.
    """

    def __init__(self, in_channels: int, **kwargs):
        super().__init__(in_channels, channels=2 * in_channels, **kwargs)
        self.mix = MixFFN(2 * in_channels, 2 * in_channels)

    def forward(self, feat_from: Tensor, feat_to: Tensor) -> BranchOutputs:
        """Compare two dates.

        Args:
            feat_from (Tensor): ``(N, C, h, w)``.
            feat_to (Tensor): Same shape.

        Returns:
            BranchOutputs: ``fused`` is ``(N, 2C, h, w)``.

        Raises:
            ValueError: For other channels.
        """
        check_channels(self, self.in_channels, feat_from, feat_to)
        x = torch.cat([feat_from, feat_to], dim=1)
        fused = nlc_to_nchw(
            self.mix(nchw_to_nlc(x), x.shape[-2:]), x.shape[-2:])
        return BranchOutputs(
            feat_from=feat_from,
            feat_to=feat_to,
            fused=fused,
            logits=self.cls_seg(fused))
