"""How far the training is, for whatever follows a schedule.

Losses and weightings ask here instead of counting calls, so a schedule goes on
where it was when a run is resumed. The numbers come from mmengine's message
hub, which the runner's ``RuntimeInfoHook`` keeps.
"""
from typing import NamedTuple, Optional

from mmengine.logging import MessageHub


class Progress(NamedTuple):
    """Where a training run is.

    Attributes:
        epoch (float): Epochs done. A whole number in an epoch-based run, a
            fraction in an iteration-based one.
        iter (int): Iterations done.
        max_iters (int): Iterations of the whole run; 0 outside a run.
        fraction (float): ``iter / max_iters``, from 0 to 1.
    """

    epoch: float = 0.
    iter: int = 0
    max_iters: int = 0
    fraction: float = 0.


def training_progress(iters_per_epoch: Optional[int] = None) -> Progress:
    """Read how far the present run is.

    Args:
        iters_per_epoch (int, optional): Iterations that count as one epoch
            in an iteration-based run. Default: None, the length of the
            training set over the batch of all processes, which
            :class:`~opencd_gold.engine.loops.ResumableIterTrainLoop`
            announces.

    Returns:
        Progress: All zeros outside a run.

    Raises:
        ValueError: If ``iters_per_epoch`` is not positive, or is needed and
            known from nowhere.
    """
    if iters_per_epoch is not None and iters_per_epoch <= 0:
        raise ValueError(
            f'iters_per_epoch must be positive, found {iters_per_epoch}')
    info = MessageHub.get_current_instance().runtime_info
    done = info.get('iter', 0)
    total = info.get('max_iters', 0)
    if not total:
        return Progress()
    # mmengine calls the whole of an iteration-based run one epoch.
    if info.get('max_epochs', 1) > 1:
        epoch = float(info.get('epoch', 0))
    else:
        length = iters_per_epoch or info.get('iters_per_epoch')
        if length is None:
            raise ValueError(
                'a schedule in epochs needs iters_per_epoch in this '
                'iteration-based run: give it, or train with '
                'ResumableIterTrainLoop')
        epoch = done / length
    return Progress(epoch, done, total, min(done / total, 1.))


def current_epoch(iters_per_epoch: Optional[int] = None) -> float:
    """Epochs done in the present run; see :func:`training_progress`.

    Args:
        iters_per_epoch (int, optional): Iterations that count as one epoch
            in an iteration-based run. Default: None.

    Returns:
        float: 0 outside a run.
    """
    return training_progress(iters_per_epoch).epoch


def fraction() -> float:
    """Share of the present run that is done.

    Returns:
        float: From 0 to 1; 0 outside a run.
    """
    info = MessageHub.get_current_instance().runtime_info
    total = info.get('max_iters', 0)
    return min(info.get('iter', 0) / total, 1.) if total else 0.
