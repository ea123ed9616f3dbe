"""Distillation losses on encoder stages: the authors' later variant of GOLD.

They compare the coarse stages of the encoders, given in
``BranchOutputs.pyramid_from`` and ``pyramid_to``, instead of fused features.
"""
import math
from typing import Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from opencd_gold.models.layers import mean_max
from opencd_gold.registry import MODELS

from .alignment import (
    alignment,
    checked_where,
    counted_positions,
    stage_pairs,
)
from .distill import DistillLoss
from .logits import two_classes
from .maps import resize_target


class PyramidDistillLoss(DistillLoss):
    """Base of losses over some stages of the encoders.

    Args:
        stages (Sequence[int]): Indices into the pyramids. Default: the last
            two.
        kwargs: See :class:`DistillLoss`.
    """

    def __init__(self, stages: Sequence[int] = (-2, -1), **kwargs):
        super().__init__(**kwargs)
        self.stages = tuple(stages)

    def _pairs(self, outputs):
        return stage_pairs(outputs, self.stages)

    def _sums(self, outputs):
        """First plus other date, a stage each."""
        return [a + b for a, b in self._pairs(outputs)]


@MODELS.register_module()
class PyramidAlignLoss(PyramidDistillLoss):
    r"""Align the other date's features with the first date's.

    For each stage, with t the first date and s the other one, T = 4:
    ``T^2 KL`` over positions for each channel, divided by C N, plus ``T^2
    KL`` over channels for each position, divided by N h w. Terms
    ``align_student`` and ``align_teacher``, each summed over the stages. No
    term compares student and teacher, so there is nothing to detach.

    Args:
        temperature (float): Default: 4.
        stages (Sequence[int]): See :class:`PyramidDistillLoss`.
        where (str): ``'all'``: everything, changed or not, as published.
            ``'unchanged'``: positions without any changed or ignored pixel
            alone. Default: ``'all'``.

    Raises:
        ValueError: For another ``where``.
    """

    terms = ('align_student', 'align_teacher')

    def __init__(self,
                 temperature: float = 4.,
                 stages: Sequence[int] = (-2, -1),
                 where: str = 'all'):
        super().__init__(stages)
        self.temperature = temperature
        self.where = checked_where(where, type(self).__name__)

    def _align(self, outputs, target: Tensor) -> Tensor:
        return sum(
            sum(
                alignment(
                    first, other, self.temperature,
                    counted_positions(self.where, target, first.shape[-2:])))
            for first, other in self._pairs(outputs))

    def forward(self, student, teacher, target):
        """See :class:`DistillLoss`."""
        return dict(
            align_student=self._align(student, target),
            align_teacher=self._align(teacher, target))


@MODELS.register_module()
class PyramidFeatureLoss(PyramidDistillLoss):
    """Weighted squared error of layer-normalised pyramid sums.

    Each stage: first plus other date, normalised over (C, h, w) without
    scale, squared error summed over C, weighted by the label (nearest) and
    divided by (sum of weights * C + 1e-6); mean over stages. Term
    ``feature``.

    Args:
        mask (tuple[float, float]): Weight of changed and of unchanged pixels.
            Default: ``(3., 1.)``.
        kwargs: See :class:`PyramidDistillLoss`.
    """

    terms = ('feature', )

    def __init__(self, mask: Tuple[float, float] = (3., 1.), **kwargs):
        super().__init__(**kwargs)
        self.mask = mask

    def forward(self, student, teacher, target):
        """See :class:`DistillLoss`."""
        values = []
        for s, t in zip(self._sums(student), self._sums(teacher)):
            s = F.layer_norm(s, s.shape[1:])
            t = F.layer_norm(self._of_teacher(t), t.shape[1:])
            label = resize_target(target, s.shape[-2:])
            weight = torch.where(label == 0, self.mask[1], self.mask[0])
            weight = weight.masked_fill(label == self.ignore_index, 0.)
            error = (s - t).pow(2).sum(1, keepdim=True)
            values.append((error * weight).sum() /
                          (weight.sum() * s.shape[1] + 1e-6))
        return dict(feature=torch.stack(values).mean())


@MODELS.register_module()
class PyramidAttentionLoss(PyramidDistillLoss):
    """Difference-map, spatial and channel attention on encoder stages.

    - ``map``: ``D = sigmoid(2 d)``, ``d = (tanh(l2 / norm) + (1 - cos) / 2)
      / 2``; squared error weighted by the teacher's D (no gradient) times
      ``0.5 + 0.5 confidence``, over the sum of weights.
    - ``spatial``: ``sigmoid(avgpool7(mean_c) + avgpool7(max_c))`` of the mean
      of the dates, same weighting.
    - ``channel``: ``sigmoid(mean + max)`` over positions, mean squared error.

    Confidence is one minus the teacher's normalised entropy. Means over
    stages.

    Args:
        kwargs: See :class:`PyramidDistillLoss`.
    """

    terms = ('map', 'channel', 'spatial')

    @staticmethod
    def _map(x: Tensor, y: Tensor) -> Tensor:
        eps = 1e-6
        length = (x - y).pow(2).sum(1, keepdim=True).clamp(min=eps).sqrt()
        norm_x = x.norm(dim=1, keepdim=True) + eps
        norm_y = y.norm(dim=1, keepdim=True) + eps
        cosine = ((x * y).sum(1, keepdim=True) / (norm_x * norm_y)).clamp(
            -1, 1)
        relative = length / (0.5 * (norm_x + norm_y) + eps)
        distance = 0.5 * (torch.tanh(relative) + 0.5 * (1 - cosine))
        return torch.sigmoid(2 * distance)

    @staticmethod
    def _confidence(logits: Tensor) -> Tensor:
        prob = two_classes(logits.detach()).softmax(dim=1)
        entropy = -(prob * (prob + 1e-6).log()).sum(1, keepdim=True)
        return (1 - entropy / math.log(2 + 1e-6)).clamp(0, 1)

    @staticmethod
    def _spatial(x: Tensor) -> Tensor:
        pooled = [
            F.avg_pool2d(y, 7, stride=1, padding=3)
            for y in mean_max(x, (1, ))
        ]
        return torch.sigmoid(pooled[0] + pooled[1])

    @staticmethod
    def _channel(x: Tensor) -> Tensor:
        mean, top = mean_max(x, (2, 3))
        return torch.sigmoid(mean + top)

    def forward(self, student, teacher, target):
        """See :class:`DistillLoss`."""
        confidence = self._confidence(teacher.logits)
        values = {name: [] for name in self.terms}
        for pair_s, pair_t in zip(self._pairs(student), self._pairs(teacher)):
            map_s = self._map(*pair_s)
            map_t = self._of_teacher(self._map(*pair_t))
            size = map_s.shape[-2:]
            trust = F.interpolate(
                confidence, size=size, mode='bilinear', align_corners=False)
            weight = map_t.detach() * (0.5 + 0.5 * trust)
            label = resize_target(target, size)
            weight = weight.masked_fill(label == self.ignore_index, 0.)

            mean_s = (pair_s[0] + pair_s[1]) / 2
            mean_t = self._of_teacher((pair_t[0] + pair_t[1]) / 2)
            errors = dict(
                map=map_s - map_t,
                spatial=self._spatial(mean_s) - self._spatial(mean_t))
            for name, error in errors.items():
                values[name].append((error.pow(2) * weight).sum() /
                                    (weight.sum() + 1e-6))
            channel = self._channel(mean_s) - self._channel(mean_t)
            values['channel'].append(channel.pow(2).mean())
        return {
            name: torch.stack(stages).mean()
            for name, stages in values.items()
        }
