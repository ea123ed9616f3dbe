"""Losses that pull the features of two dates together.

Each is ``forward(outputs, target) -> dict`` on what one branch computed, for
``feature_losses`` of a detector.

Reference: HeteCD, https://doi.org/10.1016/j.isprsjprs.2025.03.008
"""
from abc import ABCMeta, abstractmethod
from typing import Dict, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from opencd_gold.engine.progress import current_epoch
from opencd_gold.models.layers import mean_max
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

from .maps import masked_mean
from .weighting import schedule_value

# A logit that softmax makes 0 of, and that is finite.
_NEVER = -1e4


def divergence(target: Tensor,
               source: Tensor,
               dim: int,
               temperature: float = 1.) -> Tensor:
    r"""Kullback-Leibler divergence of softened features along an axis.

    :math:`\tau^2 KL(\mathrm{softmax}(T / \tau) \,\|\, \mathrm{softmax}(S /
    \tau))`.

    Args:
        target (Tensor): T, any shape.
        source (Tensor): S, same shape.
        dim (int): Axis of the softmax.
        temperature (float): :math:`\tau`. Default: 1.

    Returns:
        Tensor: Without the axis ``dim``.
    """
    log_t = F.log_softmax(target / temperature, dim=dim)
    log_s = F.log_softmax(source / temperature, dim=dim)
    return (log_t.exp() * (log_t - log_s)).sum(dim) * temperature**2


def alignment(target: Tensor,
              source: Tensor,
              temperature: float = 4.,
              counted: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:
    """Divergences between maps, channel-wise and spatial-wise.

    Channel-wise: softmax over the positions, mean over channels and samples.
    Spatial-wise: softmax over the channels, mean over positions and samples.
    (Channel-wise distillation: https://arxiv.org/abs/2011.13256.)

    Args:
        target (Tensor): ``(N, C, h, w)``.
        source (Tensor): Same shape.
        temperature (float): Default: 4.
        counted (Tensor, optional): Positions that count, ``(N, 1, h, w)``
            bool. Others are in no softmax and in no mean. Default: None, all.

    Returns:
        tuple[Tensor, Tensor]: Scalars, channel-wise and spatial-wise.
    """
    target, source = target.flatten(2), source.flatten(2)
    spatial = divergence(target, source, 1, temperature)
    if counted is None:
        channel = divergence(target, source, 2, temperature)
        return channel.mean(), spatial.mean()
    counted = counted.flatten(2)
    target, source = (
        x.masked_fill(~counted, _NEVER) for x in (target, source))
    channel = divergence(target, source, 2, temperature)
    return (masked_mean(channel, counted.any(2).float()),
            masked_mean(spatial, counted.squeeze(1).float()))


def unchanged_positions(target: Tensor, size) -> Tensor:
    """Positions of a coarse map without a pixel of change or unknown.

    Args:
        target (Tensor): Labels ``(N, H, W)``; 0 unchanged, others (change,
            ignored) are not.
        size (tuple[int, int]): Height and width of the map.

    Returns:
        Tensor: ``(N, 1, h, w)``, bool.
    """
    other = (target != 0).float().unsqueeze(1)
    return F.adaptive_max_pool2d(other, size) == 0


def checked_where(where: str, loss: str) -> str:
    """``where`` of an alignment loss.

    Raises:
        ValueError: If it is neither ``'unchanged'`` nor ``'all'``.
    """
    if where not in ('unchanged', 'all'):
        raise ValueError(f"{loss}: where must be 'unchanged' or 'all', got "
                         f'{where!r}')
    return where


def counted_positions(where: str, target: Tensor, size) -> Optional[Tensor]:
    """Positions that count for an alignment loss.

    Args:
        where (str): ``'unchanged'`` or ``'all'``.
        target (Tensor): Labels ``(N, H, W)``.
        size (tuple[int, int]): Height and width of the map.

    Returns:
        Tensor: ``(N, 1, h, w)``, bool; None where all count.
    """
    return unchanged_positions(target, size) if where == 'unchanged' else None


def stage_pairs(outputs: BranchOutputs,
                stages: Sequence[int]) -> List[Tuple[Tensor, Tensor]]:
    """Some stages of the encoders, of both dates.

    Args:
        outputs (BranchOutputs): With ``pyramid_from`` and ``pyramid_to``.
        stages (Sequence[int]): Indices into the pyramids.

    Returns:
        list[tuple[Tensor, Tensor]]: ``(N, C_i, h_i, w_i)`` of the first and
        of the other date, a stage each.

    Raises:
        ValueError: If there is no such stage.
    """
    count = len(outputs.pyramid_from)
    missing = [i for i in stages if not -count <= i < count]
    if missing:
        raise ValueError(
            f'stages={tuple(stages)}: the encoder gives {count} stages, '
            f'indices {-count} to {count - 1}; there is no {missing[0]}')
    return [(outputs.pyramid_from[i], outputs.pyramid_to[i]) for i in stages]


class FeatureLoss(nn.Module, metaclass=ABCMeta):
    """Base of losses between the encoder stages of two dates.

    Args:
        stages (Sequence[int]): Indices into the pyramids. Default: the last
            two.
        loss_weight (float): Default: 1.
        schedule (dict, optional): Factor in time, see
            :func:`~opencd_gold.models.losses.weighting.schedule_value`.
            Default: None.
        iters_per_epoch (int, optional): What an epoch is for the schedule in
            an iteration-based run. Default: None, the length of the data set
            over the batch.
        name (str): The terms are ``loss_<name>``, which includes weight and
            schedule, and for the log ``term/<name>`` and ``weight/<name>``.

    Raises:
        ValueError: For a schedule that is none.
    """

    def __init__(self,
                 stages: Sequence[int] = (-2, -1),
                 loss_weight: float = 1.,
                 schedule: Optional[dict] = None,
                 iters_per_epoch: Optional[int] = None,
                 name: str = 'feature'):
        super().__init__()
        if schedule is not None:
            schedule_value(schedule, 0.)
        self.stages = tuple(stages)
        self.loss_weight = loss_weight
        self.schedule = schedule
        self.iters_per_epoch = iters_per_epoch
        self.name = name

    @abstractmethod
    def compare(self, first: Tensor, other: Tensor, target: Tensor) -> Tensor:
        """Compare one stage of both dates.

        Args:
            first (Tensor): ``(N, C, h, w)``, float32.
            other (Tensor): Same shape.
            target (Tensor): Labels ``(N, H, W)``, int64.

        Returns:
            Tensor: Scalar.
        """

    def weight(self) -> float:
        """Weight at the present progress of training."""
        if self.schedule is None:
            return self.loss_weight
        epoch = current_epoch(self.iters_per_epoch)
        return self.loss_weight * schedule_value(self.schedule, epoch)

    def forward(self, outputs: BranchOutputs,
                target: Tensor) -> Dict[str, Tensor]:
        """Sum over the stages.

        Args:
            outputs (BranchOutputs): With ``pyramid_from`` and ``pyramid_to``.
            target (Tensor): Labels ``(N, H, W)``, int64.

        Returns:
            dict[str, Tensor]: Scalars, see the class.

        Raises:
            ValueError: If the encoder has no such stage.
        """
        value = sum(
            self.compare(first.float(), other.float(), target)
            for first, other in stage_pairs(outputs, self.stages))
        weight = self.weight()
        return {
            f'loss_{self.name}': weight * value,
            f'term/{self.name}': value.detach(),
            f'weight/{self.name}': value.new_tensor(weight)
        }


@MODELS.register_module()
class FeatureAlignLoss(FeatureLoss):
    r"""Feature consistency alignment of HeteCD.

    For each stage, with T the first date's features, S the other's and
    :math:`\tau` = 4, the two divergences of :func:`alignment`, summed:

    .. math::
        L = \frac{\tau^2}{N C} \sum_{n,c} KL(\sigma_{hw}(T / \tau) \,\|\,
        \sigma_{hw}(S / \tau)) + \frac{\tau^2}{N h w} \sum_{n,h,w}
        KL(\sigma_c(T / \tau) \,\|\, \sigma_c(S / \tau))

    The authors' weight is 2 / (epoch + 1): ``loss_weight=2., schedule=
    dict(kind='inverse', epochs=1)``. Their code aligns everything, changed or
    not (``where='all'``), and lets the gradient into both encoders.

    Args:
        temperature (float): :math:`\tau`. Default: 4.
        where (str): ``'unchanged'``: positions without any changed or
            ignored pixel alone, since what changed should differ. ``'all'``:
            as published. Default: ``'unchanged'``.
        detach_target (bool): Cut the gradient to the first date. Default:
            False, as published.
        name (str): Default: ``'align'``.
        kwargs: See :class:`FeatureLoss`.

    Raises:
        ValueError: For another ``where``.
    """

    def __init__(self,
                 temperature: float = 4.,
                 where: str = 'unchanged',
                 detach_target: bool = False,
                 name: str = 'align',
                 **kwargs):
        super().__init__(name=name, **kwargs)
        self.temperature = temperature
        self.where = checked_where(where, type(self).__name__)
        self.detach_target = detach_target

    def compare(self, first, other, target):
        """See :class:`FeatureLoss`."""
        if self.detach_target:
            first = first.detach()
        counted = counted_positions(self.where, target, first.shape[-2:])
        return sum(alignment(first, other, self.temperature, counted))


@MODELS.register_module()
class FeatureKLLoss(FeatureLoss):
    """Divergence of the dates' channels at each position.

    ``KL(softmax_c(other) || softmax_c(first))``. HeteCD's code has it and
    never calls it; the name of its published run speaks of it.

    Args:
        reduction (str): ``'mean'`` over positions and samples, or
            ``'batchmean'``: summed over positions, mean over samples, as
            published; it grows with the image. Default: ``'mean'``.
        name (str): Default: ``'kl'``.
        kwargs: See :class:`FeatureLoss`.

    Raises:
        ValueError: For another reduction.
    """

    def __init__(self, reduction: str = 'mean', name: str = 'kl', **kwargs):
        super().__init__(name=name, **kwargs)
        if reduction not in ('mean', 'batchmean'):
            raise ValueError("FeatureKLLoss: reduction must be 'mean' or "
                             f"'batchmean', got {reduction!r}")
        self.reduction = reduction

    def compare(self, first, other, target):
        """See :class:`FeatureLoss`."""
        rows = divergence(other.flatten(2), first.flatten(2), 1)
        return rows.mean() if self.reduction == 'mean' else (
            rows.sum() / len(rows))


@MODELS.register_module()
class FeatureConsistencyLoss(FeatureLoss):
    """Squared error of globally pooled features.

    A stage is pooled to its maximum and mean over positions, 2 C numbers;
    their difference between the dates is multiplied by a weight of the
    sample; mean of the squares. HeteCD's code has it and never calls it.

    Args:
        by (str): Weight of a sample. ``'unchanged'``: share of its pixels
            that did not change. ``'corner'``: as published, 1 where the
            label's first pixel is changed, else 0. Default: ``'unchanged'``.
        name (str): Default: ``'consistency'``.
        kwargs: See :class:`FeatureLoss`.

    Raises:
        ValueError: For another ``by``.
    """

    def __init__(self,
                 by: str = 'unchanged',
                 name: str = 'consistency',
                 **kwargs):
        super().__init__(name=name, **kwargs)
        if by not in ('unchanged', 'corner'):
            raise ValueError("FeatureConsistencyLoss: by must be 'unchanged' "
                             f"or 'corner', got {by!r}")
        self.by = by

    def compare(self, first, other, target):
        """See :class:`FeatureLoss`."""
        if self.by == 'corner':
            weight = (target[:, 0, 0] == 1).float()
        else:
            weight = (target == 0).float().mean((1, 2))
        pooled = [
            torch.cat(mean_max(x, (2, 3)), dim=1).flatten(1)
            for x in (first, other)
        ]
        return ((pooled[0] - pooled[1]) * weight.unsqueeze(1)).pow(2).mean()
