"""Which member of a detector a sample is for."""
from typing import Sequence

import numpy as np
from torch import Tensor

from opencd_gold.change_area import (
    change_area_ratios,
    check_thresholds,
    partition_indices,
)
from opencd_gold.registry import TASK_UTILS


@TASK_UTILS.register_module()
class ChangeAreaRouter:
    """Route by change area ratio (CAR).

    Any router has ``count``, how many partitions it knows, and is called
    with labels.

    Args:
        thresholds (Sequence[float]): Upper bounds of all partitions but the
            last. Default: ``(0.05, 0.2)``, small, medium and large.
        inclusive (bool): Whether a ratio at the upper bound belongs to the
            partition, as in the authors' tools that split a set and test by
            origin and partition; their training has it False. Default:
            False.
        count_ignored (bool): Count ignored pixels as changed, as the authors
            do in training; corners of rotated images then look like change.
            Default: False.
        ignore_index (int): Default: 255.

    Raises:
        ValueError: If the thresholds do not rise between 0 and 1.
    """

    def __init__(self,
                 thresholds: Sequence[float] = (0.05, 0.2),
                 inclusive: bool = False,
                 count_ignored: bool = False,
                 ignore_index: int = 255):
        self.thresholds = check_thresholds(thresholds)
        self.inclusive = inclusive
        self.count_ignored = count_ignored
        self.ignore_index = ignore_index

    @property
    def count(self) -> int:
        """Number of partitions."""
        return len(self.thresholds) + 1

    def __call__(self, labels: Tensor) -> np.ndarray:
        """Partition of each sample.

        Args:
            labels (Tensor): Class indices ``(N, H, W)``, of the truth or of
                a prediction.

        Returns:
            ndarray: ``(N, )``, 0 for the smallest ratios, int64.
        """
        ratios = change_area_ratios(labels, self.ignore_index,
                                    self.count_ignored)
        return partition_indices(ratios, self.thresholds, self.inclusive)


def check_count(router, names: Sequence[str], what: str) -> None:
    """Refuse another number of members than the router knows partitions.

    Raises:
        ValueError: Naming both.
    """
    if router.count != len(names):
        raise ValueError(
            f'{what} are {list(names)}, but the router knows {router.count} '
            'partitions: expected one for each')
