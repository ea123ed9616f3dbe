"""Learn from the guide what the other sensor shows."""
from typing import Dict

import torch.nn.functional as F
from torch import Tensor, nn

from opencd_gold.registry import MODELS

from .distill import DistillLoss
from .maps import masked_mean, valid_mask


@MODELS.register_module()
class GuideAlignLoss(DistillLoss):
    r"""Predict the guide's features from the second date's.

    Both show the same place at the same date, in two sensors. With s the
    student's features of the second date, g the guide's, both after the neck,
    and P a 1x1 convolution that only training has:

    .. math::
        guide = mean_p (1 - \cos(P s_p, g_p))

    over the positions p whose label counts. Not a term of GOLD, which compares
    student and teacher only after the dates are compared; this is supervision
    transfer between modalities (Gupta et al., CVPR 2016,
    https://arxiv.org/abs/1507.00448) between GOLD's encoders.

    Args:
        channels (int): Channels of both after the neck.
        detach_teacher (bool): Cut the gradient to the guide, which otherwise
            moves towards what is easy to predict. Default: True.
        kwargs: See :class:`DistillLoss`.
    """

    terms = ('guide', )

    def __init__(self, channels: int, detach_teacher: bool = True, **kwargs):
        super().__init__(detach_teacher=detach_teacher, **kwargs)
        self.projection = nn.Conv2d(channels, channels, 1)

    def forward(self, student, teacher, target) -> Dict[str, Tensor]:
        """See :class:`DistillLoss`; ``feat_to`` is ``(N, C, h, w)``."""
        predicted = self.projection(student.feat_to)
        guide = self._of_teacher(teacher.feat_to)
        distance = 1 - F.cosine_similarity(predicted, guide, dim=1)
        valid = valid_mask(target, guide.shape[-2:], self.ignore_index)
        return dict(guide=masked_mean(distance.unsqueeze(1), valid))
