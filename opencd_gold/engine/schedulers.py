"""Learning-rate schedules that mmengine lacks."""
from typing import List

from mmengine.optim import _ParamScheduler
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin

from opencd_gold.registry import PARAM_SCHEDULERS


class WarmupPolyParamScheduler(_ParamScheduler):
    r"""Polynomial decay over the whole run, replaced by a warm-up at first.

    In iteration i, counted from 0, with N iterations, W of warm-up and C
    where the warm-up is cut off:

    .. math::
        v_i = v_0 \begin{cases}
        r + (1 - r) (i + 1) / W & i < \min(W, C) \\
        (1 - i / N)^p & \text{otherwise}
        \end{cases}

    Unlike ``LinearLR`` and ``PolyLR`` one after the other, the decay does not
    start anew where the warm-up ends. The schedule of HRMNet
    (https://arxiv.org/abs/2305.19513), whose warm-up ends with the first
    epoch at the latest.

    Args:
        optimizer (Optimizer | OptimWrapper): Whose values are set.
        param_name (str): Which, e.g. ``'lr'``.
        end (int): N.
        power (float): p. Default: 0.9.
        warmup_iters (int): W. Default: 200.
        warmup_ratio (float): r. Default: 0.1.
        warmup_end (int, optional): C. Default: None, no cut.
        begin (int): Must be 0.
        last_step (int): Default: -1.
        by_epoch (bool): Must be False. Default: False.
        verbose (bool): Default: False.

    Raises:
        ValueError: For another ``begin`` or ``by_epoch=True``.
    """

    def __init__(self,
                 optimizer,
                 param_name: str,
                 end: int,
                 power: float = 0.9,
                 warmup_iters: int = 200,
                 warmup_ratio: float = 0.1,
                 warmup_end: int = None,
                 begin: int = 0,
                 last_step: int = -1,
                 by_epoch: bool = False,
                 verbose: bool = False):
        if begin != 0 or by_epoch:
            raise ValueError(
                f'{type(self).__name__} counts iterations from the start, '
                f'expected begin=0 and by_epoch=False, got {begin} and '
                f'{by_epoch}')
        self.power = power
        self.warmup_iters = warmup_iters
        self.warmup_ratio = warmup_ratio
        self.warmup_end = warmup_iters if warmup_end is None else min(
            warmup_iters, warmup_end)
        super().__init__(
            optimizer,
            param_name,
            end=end,
            last_step=last_step,
            by_epoch=False,
            verbose=verbose)

    def _get_value(self) -> List[float]:
        """Values of all parameter groups in the present iteration."""
        step = self.last_step
        if step < self.warmup_end:
            done = (step + 1) / self.warmup_iters
            factor = self.warmup_ratio + (1 - self.warmup_ratio) * done
        else:
            factor = (1 - step / self.end)**self.power
        return [value * factor for value in self.base_values]


@PARAM_SCHEDULERS.register_module()
class WarmupPolyLR(LRSchedulerMixin, WarmupPolyParamScheduler):
    """Learning rate of :class:`WarmupPolyParamScheduler`."""
