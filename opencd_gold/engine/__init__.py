"""What runs a training: loops, hooks, optimizer wrapper, progress."""
from . import hooks  # noqa: F401
from .loops import ResumableIterTrainLoop
from .optim import Bf16OptimWrapper, FusedAdamW
from .progress import (
    Progress,
    current_epoch,
    fraction,
    training_progress,
)
from .schedulers import WarmupPolyLR

__all__ = [
    'Bf16OptimWrapper', 'FusedAdamW', 'Progress', 'ResumableIterTrainLoop',
    'WarmupPolyLR', 'current_epoch', 'fraction', 'training_progress'
]
