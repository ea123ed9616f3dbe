"""Pull a student's raw logits to a teacher's (MTKD).

https://arxiv.org/abs/2502.13407, in the form of the authors' code; its losses
are sums of the two here. Both terms come with their weights, so that a
detector skips what has none.
"""
from typing import Tuple

import torch.nn.functional as F
from torch import Tensor

from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

from .distill import DistillLoss
from .maps import masked_mean, valid_mask


class TeacherLoss(DistillLoss):
    """Base of losses that bring their weight.

    Args:
        loss_weight (float): 0 switches the loss off.
        mask_ignored (bool): Leave out pixels whose label is ignored; the
            authors keep them. Default: False.
        ignore_index (int): Default: 255.
    """

    def __init__(self,
                 loss_weight: float,
                 mask_ignored: bool = False,
                 ignore_index: int = 255):
        super().__init__(detach_teacher=True, ignore_index=ignore_index)
        self.loss_weight = loss_weight
        self.mask_ignored = mask_ignored

    def _logits(self, student: BranchOutputs,
                teacher: BranchOutputs) -> Tuple[Tensor, Tensor]:
        """Logits ``(N, K, h, w)`` of both, the teacher's without gradient.

        Raises:
            ValueError: If one has other channels than the other.
        """
        pair = student.logits, teacher.logits.detach()
        if pair[0].shape[1] != pair[1].shape[1]:
            raise ValueError(
                f'{type(self).__name__}: student and teacher must have as '
                f'many channels, got {pair[0].shape[1]} and '
                f'{pair[1].shape[1]}; LogitDistillLoss takes one as two')
        return pair

    def _valid(self, target, like):
        """Mask ``(N, 1, h, w)`` of pixels that count, None for all."""
        if not self.mask_ignored:
            return None
        return valid_mask(target, like.shape[-2:], self.ignore_index)


@MODELS.register_module()
class TeacherDivergenceLoss(TeacherLoss):
    r"""Divergence of softened class probabilities, summed over the image.

    .. math:: w \frac{T^2}{N} \sum_{n,c,h,w} p_t (\log p_t - \log p_s),
        \quad p = \mathrm{softmax}(z / T)

    Divided by the samples alone, so it grows with the image. With one output
    channel it is zero. (:class:`LogitDistillLoss` has other reductions, and
    treats one channel as two classes.) The authors' configs give it weight 0.

    Args:
        temperature (float): T. Default: 1.
        loss_weight (float): w. Default: 1.
        kwargs: See :class:`TeacherLoss`.
    """

    terms = ('divergence', )

    def __init__(self,
                 temperature: float = 1.,
                 loss_weight: float = 1.,
                 **kwargs):
        super().__init__(loss_weight, **kwargs)
        self.temperature = temperature

    def forward(self, student, teacher, target):
        """See :class:`DistillLoss`; logits ``(N, K, h, w)``, any size."""
        log_s, log_t = (
            F.log_softmax(logits / self.temperature, dim=1)
            for logits in self._logits(student, teacher))
        divergence = (log_t.exp() * (log_t - log_s)).sum(1, keepdim=True)
        valid = self._valid(target, divergence)
        if valid is not None:
            divergence = divergence * valid
        scale = self.loss_weight * self.temperature**2 / len(divergence)
        return dict(divergence=scale * divergence.sum())


@MODELS.register_module()
class TeacherSquareLoss(TeacherLoss):
    r"""Mean squared error of raw logits: the loss that the authors use.

    ``w * mean((z_s - z_t)^2)`` over samples, classes and pixels.

    Args:
        loss_weight (float): w, the authors' lambda: 1e-4 for Changer with
            MiT-b0, 1e-5 to 1e-2 for others. Default: 1e-3.
        ignore_value (float, optional): Leave out teacher logits of this
            value and add 1e-4 to the number of others, as the function
            ``kd_loss`` of the authors, which nothing calls, does with 255.
            Default: None.
        kwargs: See :class:`TeacherLoss`.
    """

    terms = ('square', )

    def __init__(self,
                 loss_weight: float = 1e-3,
                 ignore_value: float = None,
                 **kwargs):
        super().__init__(loss_weight, **kwargs)
        self.ignore_value = ignore_value

    def forward(self, student, teacher, target):
        """See :class:`DistillLoss`; logits ``(N, K, h, w)``, any size."""
        ours, theirs = self._logits(student, teacher)
        error = (ours - theirs).pow(2)
        if self.ignore_value is not None:
            kept = theirs != self.ignore_value
            value = (error * kept).sum() / (kept.sum() + 1e-4)
        else:
            error = error.mean(1, keepdim=True)
            value = masked_mean(error, self._valid(target, error))
        return dict(square=self.loss_weight * value)
