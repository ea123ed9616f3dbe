"""From named loss terms to what is minimised: fixed or learned weights."""
import math
from abc import ABCMeta, abstractmethod
from typing import Dict, Optional, Tuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from opencd_gold.registry import MODELS


def _cosine(epoch: float, epochs: float) -> float:
    return 0.5 * (1 - math.cos(math.pi * min(max(epoch / epochs, 0), 1)))


SCHEDULES = {
    'cosine': _cosine,
    'linear': lambda epoch, epochs: min(1., (epoch + 1) / epochs),
    'inverse': lambda epoch, epochs: epochs / (epoch + 1),
    'delayed': lambda epoch, epochs: float(epoch >= epochs),
}


def schedule_value(schedule: dict, epoch: float) -> float:
    """Factor of a term at ``epoch``.

    Args:
        schedule (dict): ``kind`` and ``epochs`` E. ``'cosine'``: from 0 to 1
            in E epochs. ``'linear'``: (epoch + 1) / E, at most 1.
            ``'inverse'``: E / (epoch + 1). ``'delayed'``: 0 before E, then
            1.
        epoch (float): From 0.

    Returns:
        float: The factor.

    Raises:
        ValueError: For another kind or other keys.
    """
    if set(schedule) != {'kind', 'epochs'} or schedule[
            'kind'] not in SCHEDULES:
        raise ValueError(
            'a schedule is dict(kind=..., epochs=...) with kind one of '
            f'{tuple(SCHEDULES)}, got {schedule}')
    return SCHEDULES[schedule['kind']](epoch, schedule['epochs'])


class LossWeighting(BaseModule, metaclass=ABCMeta):
    """Base of weightings.

    Args:
        groups (dict[str, dict[str, float]]): Initial (or fixed) weight of
            each term, by group: ``dict(cd=dict(student=1., ...), ...)``.
        schedules (dict[str, dict]): Factor in time of some terms, see
            :func:`schedule_value`. Default: None.

    Raises:
        ValueError: If a term is in two groups or a schedule names none.
    """

    def __init__(self,
                 groups: Dict[str, Dict[str, float]],
                 schedules: Optional[Dict[str, dict]] = None):
        super().__init__()
        self.groups = {name: dict(terms) for name, terms in groups.items()}
        self.schedules = dict(schedules or {})
        names = [term for terms in self.groups.values() for term in terms]
        doubled = {name for name in names if names.count(name) > 1}
        unknown = set(self.schedules) - set(names)
        if doubled or unknown:
            raise ValueError(
                f'loss_weighting: terms in two groups: {sorted(doubled)}; '
                f'schedules of unknown terms: {sorted(unknown)}; known are '
                f'{names}')
        for schedule in self.schedules.values():
            schedule_value(schedule, 0.)

    def _check_groups(self, argument: str, names) -> None:
        """Refuse names that are not those of groups."""
        unknown = sorted(set(names) - set(self.groups))
        if unknown:
            raise ValueError(
                f'{type(self).__name__}: {argument} names {unknown}, '
                f'expected groups, which are {sorted(self.groups)}')

    @property
    def terms(self) -> Tuple[str, ...]:
        """Names of all terms that have a weight."""
        return tuple(t for terms in self.groups.values() for t in terms)

    @abstractmethod
    def weights(self, epoch: float) -> Dict[str, Tensor]:
        """Weights at ``epoch``.

        Returns:
            dict[str, Tensor]: For each group, one weight a term; under
            ``'task'``, one weight a group.
        """

    def penalty(self) -> Optional[Tensor]:
        """What the parameters of the weighting cost by themselves."""

    def forward(self, terms: Dict[str, Tensor],
                epoch: float) -> Tuple[Dict[str, Tensor], Dict[str, Tensor]]:
        """Weigh terms.

        Args:
            terms (dict[str, Tensor]): Scalars by name.
            epoch (float): Progress of the training.

        Returns:
            tuple[dict, dict]: What to minimise, ``loss_<group>`` each, whose
            sum is the total; and for the log, each ``term/...`` and
            ``weight/...``.

        Raises:
            KeyError: If a term has no weight.
        """
        missing = set(terms) - set(self.terms)
        if missing:
            raise KeyError(
                f'loss_weighting has no weight for {sorted(missing)}; it '
                f'knows {self.terms}')
        weights = self.weights(epoch)
        losses, logs = {}, {}
        for index, (group, names) in enumerate(self.groups.items()):
            task = weights['task'][index]
            total = None
            for position, name in enumerate(names):
                if name not in terms:
                    continue
                weight = weights[group][position]
                value = weight * terms[name]
                if name in self.schedules:
                    factor = schedule_value(self.schedules[name], epoch)
                    value = value * factor
                    weight = weight * factor
                total = value if total is None else total + value
                logs[f'term/{name}'] = terms[name].detach()
                logs[f'weight/{group}.{name}'] = weight.detach()
            if total is not None:
                losses[f'loss_{group}'] = task * total
                logs[f'weight/task.{group}'] = task.detach()
        penalty = self.penalty()
        if penalty is not None:
            losses['loss_weight_penalty'] = penalty
        return losses, logs


@MODELS.register_module()
class FixedWeighting(LossWeighting):
    """Weights that stay, but for schedules.

    Args:
        groups (dict[str, dict[str, float]]): Weight of each term.
        task (dict[str, float]): Weight of each group. Default: 1 each.
        schedules (dict, optional): See :class:`LossWeighting`.

    Raises:
        ValueError: If ``task`` names a group that is none.
    """

    def __init__(self, groups, task=None, schedules=None):
        super().__init__(groups, schedules)
        task = task or {}
        self._check_groups('task', task)
        rows = {name: list(terms.values())
                for name, terms in self.groups.items()}
        rows['task'] = [task.get(name, 1.) for name in self.groups]
        for name, row in rows.items():
            self.register_buffer(
                f'fixed_{name}', torch.tensor(row), persistent=False)

    def weights(self, epoch):
        """See :class:`LossWeighting`."""
        return {name: getattr(self, f'fixed_{name}')
                for name in (*self.groups, 'task')}


@MODELS.register_module()
class UncertaintyWeighting(LossWeighting):
    r"""Dynamic weights of GOLD from learned log-variances s.

    Form of the code, for a group with initial weights :math:`w_0`, warm-up E
    and :math:`a = \frac{1}{2} (1 - \cos(\pi e / E))`, 1 from E on:

    .. math::
        p = \mathrm{softplus}(-s), \quad
        w = \Big( (1 - a) \frac{w_0}{\sum w_0} + a \frac{p}{\sum p} \Big)
        \sum w_0

    so a group keeps the sum of its initial weights. Form of the paper
    (algorithm 6): for e > E the first p of each group is multiplied by
    :math:`\min(1 + (e - E) / 100, 1.5)` and :math:`w = (1 - a) w_0 + a p /
    \sum p`, so the sum goes to 1.

    Normalised weights without a price on s drift to the smallest loss of
    the group; ``penalty`` adds one. (Related: https://arxiv.org/abs/
    1705.07115.) The parameters are called ``task`` and like the groups; give
    them a smaller learning rate by ``paramwise_cfg`` (the authors: 0.1). A
    checkpoint without them loads; they then start at zero.

    Args:
        groups (dict[str, dict[str, float]]): Initial weight of each term.
        task (dict[str, float]): Initial weight of each group.
        form (str): ``'code'`` or ``'paper'``. Default: ``'code'``.
        warmup_epochs (float): E. Default: 20.
        task_limits (dict[str, tuple], optional): Lowest and highest share
            (or None) of the sum for groups, applied to the task weights
            before they are rescaled to their sum. The authors' ``dict(cd=
            (0.6, None), distill=(None, 0.3), att=(None, 0.2))`` makes the
            task weights constant, without gradient, from epoch 14 on.
            Default: None, so the weights keep moving.
        penalty (float): Factor of the sum of :math:`s^2`. Default: 0.
        schedules (dict, optional): See :class:`LossWeighting`.

    Raises:
        ValueError: For another form, a group without a task weight, or limits
            of a group that is none.
    """

    eps = 1e-8

    def __init__(self,
                 groups,
                 task: Dict[str, float],
                 form: str = 'code',
                 warmup_epochs: float = 20,
                 task_limits: Optional[Dict[str, tuple]] = None,
                 penalty: float = 0.,
                 schedules=None):
        super().__init__(groups, schedules)
        if form not in ('code', 'paper'):
            raise ValueError("UncertaintyWeighting: form must be 'code' or "
                             f"'paper', got {form!r}")
        if set(task) != set(self.groups):
            raise ValueError(
                f'UncertaintyWeighting: task weights {sorted(task)} must '
                f'name the groups {sorted(self.groups)}')
        self.form = form
        self.warmup_epochs = warmup_epochs
        self.penalty_factor = penalty
        self.task_limits = dict(task_limits or {})
        self._check_groups('task_limits', self.task_limits)
        rows = {name: list(terms.values())
                for name, terms in self.groups.items()}
        rows['task'] = [task[name] for name in self.groups]
        for name, row in rows.items():
            setattr(self, name, nn.Parameter(torch.zeros(len(row))))
            self.register_buffer(
                f'initial_{name}', torch.tensor(row), persistent=False)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        for name in (*self.groups, 'task'):
            state_dict.setdefault(prefix + name,
                                  getattr(self, name).detach().clone())
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def group_weights(self, name: str, epoch: float) -> Tensor:
        """Weights of one group, or of ``'task'`` before its limits."""
        log_var = getattr(self, name)
        initial = getattr(self, f'initial_{name}')
        share = _cosine(epoch, self.warmup_epochs) if self.warmup_epochs else 1
        precision = F.softplus(-log_var) + self.eps
        if self.form == 'paper':
            late = epoch - self.warmup_epochs
            if late > 0:
                boost = torch.ones_like(precision)
                boost[0] = min(1 + late / 100, 1.5)
                precision = precision * boost
            return (1 - share) * initial + share * precision / precision.sum()
        total = initial.sum() + self.eps
        learned = precision / (precision.sum() + self.eps)
        return ((1 - share) * initial / total + share * learned) * total

    def _limited(self, weights: Tensor) -> Tensor:
        if not self.task_limits:
            return weights
        total = weights.sum() + self.eps
        rows = []
        for weight, group in zip(weights, self.groups):
            low, high = self.task_limits.get(group, (None, None))
            if low is not None:
                weight = torch.maximum(weight, low * total)
            if high is not None:
                weight = torch.minimum(weight, high * total)
            rows.append(weight)
        rows = torch.stack(rows)
        return rows / (rows.sum() + self.eps) * total

    def weights(self, epoch):
        """See :class:`LossWeighting`."""
        weights = {name: self.group_weights(name, epoch)
                   for name in self.groups}
        weights['task'] = self._limited(self.group_weights('task', epoch))
        return weights

    def penalty(self):
        """See :class:`LossWeighting`."""
        if not self.penalty_factor:
            return None
        return self.penalty_factor * sum(
            getattr(self, name).pow(2).sum()
            for name in (*self.groups, 'task'))
