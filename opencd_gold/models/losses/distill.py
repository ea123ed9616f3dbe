"""Distillation losses of GOLD.

Each is ``forward(student, teacher, target) -> dict`` of named terms; which
weight a term gets is the weighting's business. A new one is a class with the
same signature and a config line.

Reference: the authors' algorithms 4, 5 and 7, in the form of their code and,
by option, of their pseudocode.
"""
from abc import ABCMeta, abstractmethod
from typing import Dict, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from opencd_gold.models.layers import mean
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

from .logits import two_classes
from .maps import (
    channel_attention,
    difference_map,
    feature_distance,
    masked_mean,
    resize_target,
    spatial_attention,
    valid_mask,
)


class DistillLoss(nn.Module, metaclass=ABCMeta):
    """Base of distillation losses.

    Attributes:
        terms (tuple[str]): Names of what :meth:`forward` returns.

    Args:
        detach_teacher (bool): Cut the gradient to the teacher. The authors
            leave it, except for logits. Default: False.
        ignore_index (int): Label of pixels that do not count. Default: 255.
    """

    terms: Tuple[str, ...] = ()

    def __init__(self, detach_teacher: bool = False, ignore_index: int = 255):
        super().__init__()
        self.detach_teacher = detach_teacher
        self.ignore_index = ignore_index

    @abstractmethod
    def forward(self, student: BranchOutputs, teacher: BranchOutputs,
                target: Tensor) -> Dict[str, Tensor]:
        """Compare student and teacher.

        Args:
            student (BranchOutputs): Float32, logits at the size of the label.
            teacher (BranchOutputs): Likewise.
            target (Tensor): Labels ``(N, H, W)``, int64.

        Returns:
            dict[str, Tensor]: A scalar for each of ``terms``.
        """

    def _of_teacher(self, x: Tensor) -> Tensor:
        return x.detach() if self.detach_teacher else x


@MODELS.register_module()
class FeatureDistillLoss(DistillLoss):
    r"""Pull the student's fused features to the teacher's.

    ``0.7 * mse(S m, T m) + 0.3 * (1 - mean_n cos(gap(S), gap(T)))``, where m
    is 4 on changed pixels, 0.5 on others and 0 on ignored ones, resized
    (nearest) to the features. The mean is over all elements. The pooled
    cosine is never masked. (GOLD, algorithm 4.)

    Args:
        mask (tuple[float, float], optional): Weight of changed and of
            unchanged pixels. None: no mask. Default: ``(4., 0.5)``.
        mse_weight (float): Default: 0.7.
        cosine_weight (float): Default: 0.3.
        normalize (bool): Compare directions alone: features of unit length
            along channels. Default: False.
        kwargs: See :class:`DistillLoss`.
    """

    terms = ('feature', )

    def __init__(self,
                 mask=(4., 0.5),
                 mse_weight: float = 0.7,
                 cosine_weight: float = 0.3,
                 normalize: bool = False,
                 **kwargs):
        super().__init__(**kwargs)
        self.mask = mask
        self.mse_weight = mse_weight
        self.cosine_weight = cosine_weight
        self.normalize = normalize

    def pixel_weights(self, target: Tensor, size) -> Tensor:
        """The mask m, ``(N, 1, h, w)``."""
        label = resize_target(target, size)
        changed, unchanged = (1., 1.) if self.mask is None else self.mask
        weights = torch.where(label == 0, unchanged, changed)
        return weights.masked_fill(label == self.ignore_index, 0.)

    def forward(self, student, teacher, target):
        """See :class:`DistillLoss`."""
        s, t = student.fused, self._of_teacher(teacher.fused)
        cosine = 1 - F.cosine_similarity(
            mean(s, (2, 3)), mean(t, (2, 3)), dim=1).mean()
        if self.normalize:
            s, t = F.normalize(s, dim=1), F.normalize(t, dim=1)
            per_pixel = (s - t).pow(2).sum(1, keepdim=True)
        else:
            per_pixel = mean((s - t).pow(2), (1, ))
        weights = self.pixel_weights(target, s.shape[-2:])
        mse = (per_pixel * weights.pow(2)).mean()
        return dict(
            feature=self.mse_weight * mse + self.cosine_weight * cosine)


@MODELS.register_module()
class LogitDistillLoss(DistillLoss):
    r"""Kullback-Leibler divergence of softened predictions.

    :math:`T^2 \, KL(\mathrm{softmax}(z_t / T) \,\|\, \mathrm{softmax}(z_s /
    T))`. (Hinton et al., https://arxiv.org/abs/1503.02531; GOLD, algorithm
    4.) The teacher's logits are always detached. One output channel is
    treated as two classes.

    Args:
        temperature (float): Default: 2.
        reduction (str): ``'mean'``: over pixels and classes, as the authors
            train. ``'pixel'``: summed over classes, mean over pixels.
            ``'batchmean'``: summed over classes and pixels, mean over
            samples; grows with the image. Default: ``'mean'``.
        max_value (float, optional): Clamp of the result. Default: None.
        ignore_index (int): Default: 255.

    Raises:
        ValueError: For another reduction.
    """

    terms = ('output', )

    def __init__(self,
                 temperature: float = 2.,
                 reduction: str = 'mean',
                 max_value: float = None,
                 ignore_index: int = 255):
        super().__init__(detach_teacher=True, ignore_index=ignore_index)
        if reduction not in ('mean', 'pixel', 'batchmean'):
            raise ValueError("LogitDistillLoss: reduction must be 'mean', "
                             f"'pixel' or 'batchmean', got {reduction!r}")
        self.temperature = temperature
        self.reduction = reduction
        self.max_value = max_value

    def _log_prob(self, logits: Tensor) -> Tensor:
        return F.log_softmax(two_classes(logits) / self.temperature, dim=1)

    def forward(self, student, teacher, target):
        """See :class:`DistillLoss`."""
        log_s = self._log_prob(student.logits)
        log_t = self._log_prob(self._of_teacher(teacher.logits))
        divergence = (log_t.exp() * (log_t - log_s)).sum(1, keepdim=True)
        valid = valid_mask(target, divergence.shape[-2:], self.ignore_index)
        if self.reduction == 'batchmean':
            if valid is not None:
                divergence = divergence * valid
            value = divergence.sum() / len(divergence)
        else:
            value = masked_mean(divergence, valid)
            if self.reduction == 'mean':
                value = value / log_s.shape[1]
        value = value * self.temperature**2
        if self.max_value is not None:
            value = value.clamp(max=self.max_value)
        return dict(output=value)


@MODELS.register_module()
class AttentionTransferLoss(DistillLoss):
    """Transfer where the teacher sees difference, and what it attends to.

    Three mean squared errors: ``map`` between the difference maps of the
    pairs (features before the interaction), ``channel`` and ``spatial``
    between parameter-free attentions of the fused features. (GOLD, algorithm
    5; the zoo of such maps begins with https://arxiv.org/abs/1612.03928.)

    Args:
        form (str): Of the difference map, ``'code'`` or ``'paper'``, see
            :func:`~opencd_gold.models.losses.maps.difference_map`. Default:
            ``'code'``.
        kwargs: See :class:`DistillLoss`.

    Raises:
        ValueError: For another form.
    """

    terms = ('map', 'channel', 'spatial')

    def __init__(self, form: str = 'code', **kwargs):
        super().__init__(**kwargs)
        if form not in ('code', 'paper'):
            raise ValueError("AttentionTransferLoss: form must be 'code' or "
                             f"'paper', got {form!r}")
        self.form = form

    def maps(self, student, teacher) -> Tuple[Tensor, Tensor]:
        """Difference maps of both pairs, ``(N, 1, h, w)`` each."""
        return (difference_map(student.feat_from, student.feat_to, self.form),
                self._of_teacher(
                    difference_map(teacher.feat_from, teacher.feat_to,
                                   self.form)))

    def forward(self, student, teacher, target):
        """See :class:`DistillLoss`."""
        map_s, map_t = self.maps(student, teacher)
        fused_s, fused_t = student.fused, self._of_teacher(teacher.fused)
        spatial = spatial_attention(fused_s) - spatial_attention(fused_t)
        channel = channel_attention(fused_s) - channel_attention(fused_t)
        valid = valid_mask(target, map_s.shape[-2:], self.ignore_index)
        return dict(
            map=masked_mean((map_s - map_t).pow(2), valid),
            channel=channel.pow(2).mean(),
            spatial=masked_mean(spatial.pow(2), valid))


@MODELS.register_module()
class RegionAwareDistillLoss(AttentionTransferLoss):
    r"""Weight features by where the teacher's pair really differs.

    GOLD, algorithm 7, which the authors' code lacks. With D the teacher's
    :func:`~opencd_gold.models.losses.maps.feature_distance`:

    1. ``S = 2 [D > 1.3 mean(D)] + 0.5``; ``D_n`` is ``D S``, min-max
       normalised; ``theta = mean(D_n) + std(D_n)``.
    2. ``D_e = D_n^2 / theta`` above theta, half of it below;
       ``M = exp(2 D_e) / mean(exp(2 D_e))``; ``R = [M > 1.5 mean(M)]``.
    3. ``L_f = 2 mse(S R, T R) + 0.5 mse(S (1-R), T (1-R))``, ``L_a`` spatial
       plus channel attention error, ``L_d`` difference-map error;
       ``region = 0.5 L_f + 0.3 L_a + 0.2 L_d``.

    The masks carry no gradient.

    Args:
        per_sample (bool): Means and extremes of each sample; otherwise of
            the batch. Default: True.
        feature_scale (float): Factor on the dates' features before D and the
            maps, which saturate for features of unit scale. Default: 1.
        kwargs: See :class:`AttentionTransferLoss`; ``form`` is ``'paper'`` by
            default.
    """

    terms = ('region', )

    def __init__(self,
                 per_sample: bool = True,
                 feature_scale: float = 1.,
                 form: str = 'paper',
                 **kwargs):
        super().__init__(form=form, **kwargs)
        self.per_sample = per_sample
        self.feature_scale = feature_scale

    def regions(self, distance: Tensor) -> Dict[str, Tensor]:
        """Masks of algorithm 7.

        Args:
            distance (Tensor): D, ``(N, 1, h, w)``.

        Returns:
            dict[str, Tensor]: ``normalised`` (D_n), ``weights`` (M) and
            ``changed`` (R, 0 or 1), same shape, no gradient.
        """
        distance = distance.detach()
        dims = (1, 2, 3) if self.per_sample else (0, 1, 2, 3)
        eps = 1e-6

        def mean(x):
            return x.mean(dims, keepdim=True)

        scaled = distance * (2. * (distance > 1.3 * mean(distance)) + 0.5)
        low, high = scaled.amin(dims, True), scaled.amax(dims, True)
        normalised = (scaled - low) / (high - low + eps)
        theta = mean(normalised) + normalised.std(
            dims, correction=0, keepdim=True)
        enhanced = normalised.pow(2) / (theta + eps)
        enhanced = torch.where(normalised > theta, enhanced, enhanced / 2)
        weights = torch.exp(2 * enhanced)
        weights = weights / (mean(weights) + eps)
        changed = (weights > 1.5 * mean(weights)).float()
        return dict(normalised=normalised, weights=weights, changed=changed)

    def feature_terms(self, student, teacher) -> Tuple[Tensor, Tensor]:
        """Feature errors inside and outside of the changed regions."""
        distance = feature_distance(
            teacher.feat_from * self.feature_scale,
            teacher.feat_to * self.feature_scale)
        changed = self.regions(distance)['changed']
        error = (student.fused - self._of_teacher(teacher.fused)).pow(2)
        return (error * changed).mean(), (error * (1 - changed)).mean()

    def maps(self, student, teacher):
        """Difference maps of the scaled features, see the base."""
        scale = self.feature_scale
        student, teacher = (
            BranchOutputs(o.feat_from * scale, o.feat_to * scale, o.fused,
                          o.logits) for o in (student, teacher))
        return super().maps(student, teacher)

    def forward(self, student, teacher, target):
        """See :class:`DistillLoss`."""
        inside, outside = self.feature_terms(student, teacher)
        transfer = super().forward(student, teacher, target)
        return dict(
            region=0.5 * (2 * inside + 0.5 * outside) + 0.3 *
            (transfer['spatial'] + transfer['channel']) +
            0.2 * transfer['map'])
