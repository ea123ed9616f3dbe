"""Change area ratio (CAR): how much of an image changed, and its partition."""
from typing import Sequence

import numpy as np
import torch
from torch import Tensor


def change_area_ratios(labels: Tensor,
                       ignore_index: int = 255,
                       count_ignored: bool = False) -> np.ndarray:
    """Share of changed pixels of each label.

    Args:
        labels (Tensor): Class indices ``(N, H, W)``, 0 unchanged.
        ignore_index (int): Label of the pixels that do not count. Default:
            255.
        count_ignored (bool): Count them as changed instead, as the authors
            of MTKD do in training. Default: False.

    Returns:
        ndarray: ``(N, )``, float64: changed pixels over all that count, 0
        where none does. On the host: one transfer for all.
    """
    changed = labels != 0
    if count_ignored:
        counted = torch.ones_like(changed)
    else:
        counted = labels != ignore_index
        changed = changed & counted
    counts = torch.stack([changed.sum((1, 2)), counted.sum((1, 2))]).cpu()
    changed, counted = counts.numpy()
    return changed / np.maximum(counted, 1)


def partition_indices(ratios: Sequence[float],
                      thresholds: Sequence[float],
                      inclusive: bool) -> np.ndarray:
    """Which partition each ratio falls into.

    Args:
        ratios (Sequence[float]): Change area ratios, 0 to 1.
        thresholds (Sequence[float]): Upper bounds of all partitions but the
            last.
        inclusive (bool): Whether a ratio at the upper bound of a partition
            belongs to it, or to the next one.

    Returns:
        ndarray: Indices from 0, the smallest ratios, int64.
    """
    side = 'left' if inclusive else 'right'
    return np.searchsorted(np.asarray(thresholds), ratios, side=side)


def check_thresholds(thresholds: Sequence[float]) -> tuple:
    """Thresholds as a tuple.

    Raises:
        ValueError: Unless they rise, above 0 and below 1, and are one at
            least.
    """
    found = tuple(thresholds)
    rising = (0, *found, 1)
    if not found or any(a >= b for a, b in zip(rising, rising[1:])):
        raise ValueError('thresholds of the change area ratio must rise, '
                         f'above 0 and below 1, got {found}')
    return found
