"""Samplers whose every draw carries the seed of its augmentation.

An index says which sample, a :class:`Draw` also says with which random
numbers. The seed follows from the sampler's own seed and the place of the
draw in the global sequence, so a batch is the same whatever the number of
workers, and a run that is resumed continues the sequence where it was.
"""
import itertools
from typing import Iterator, Optional, Sized

import numpy as np
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler

from opencd_gold.registry import DATA_SAMPLERS


class Draw(int):
    """Index of a sample together with the seed of its augmentation.

    It stays a draw when data set wrappers shift it (``%`` of a repeated set,
    ``-`` of a concatenated one).

    Args:
        index (int): Which sample.
        seed (int): Seed of ``random``, numpy and torch, ``0 .. 2**32 - 1``.
    """

    def __new__(cls, index: int, seed: int):
        """Make the integer and give it the seed."""
        draw = super().__new__(cls, index)
        draw.seed = seed
        return draw

    def __reduce__(self):
        """Keep the seed on the way to a worker process."""
        return Draw, (int(self), self.seed)

    def __sub__(self, other):
        """Shift the index, keep the seed."""
        return Draw(int(self) - other, self.seed)

    def __mod__(self, other):
        """Fold the index, keep the seed."""
        return Draw(int(self) % other, self.seed)


def seed_of(seed: int, position: int) -> int:
    """Derive the seed of one draw.

    Args:
        seed (int): Of the sampler.
        position (int): Place in the global sequence of draws.

    Returns:
        int: ``0 .. 2**32 - 1``.
    """
    return int(np.random.SeedSequence((seed, position)).generate_state(1)[0])


@DATA_SAMPLERS.register_module()
class SeededInfiniteSampler(InfiniteSampler):
    """Endless shuffled draws for training that counts iterations.

    The global sequence is one permutation of the set after another; a
    process takes every ``world_size``-th draw of it.

    Args:
        dataset (Sized): The data set.
        shuffle (bool): Whether to permute. Default: True.
        seed (int, optional): Of the order and of the draws. Default: None,
            one that all processes agree on.
    """

    def __init__(self,
                 dataset: Sized,
                 shuffle: bool = True,
                 seed: Optional[int] = None) -> None:
        super().__init__(dataset, shuffle=shuffle, seed=seed)
        if self.size == 0:
            raise ValueError('the data set is empty: nothing to sample')
        self.start = 0

    def skip(self, num_samples: int) -> None:
        """Let the next iteration begin later, without loading anything.

        Args:
            num_samples (int): Samples of this process, counted from the very
                first one, that are left out: batches done times batch size.
                A second call replaces the first.
        """
        if num_samples < 0:
            raise ValueError(
                f'num_samples must be 0 or more, found {num_samples}')
        self.start = num_samples

    def _permutation(self, epoch: int) -> list:
        """Order of the set in one pass over it."""
        if not self.shuffle:
            return list(range(self.size))
        generator = torch.Generator().manual_seed(
            seed_of(self.seed, epoch))
        return torch.randperm(self.size, generator=generator).tolist()

    def __iter__(self) -> Iterator[Draw]:
        """Yield the draws of this process, without end."""
        epoch, order = None, None
        for turn in itertools.count(self.start):
            position = turn * self.world_size + self.rank
            if position // self.size != epoch:
                epoch = position // self.size
                order = self._permutation(epoch)
            yield Draw(order[position % self.size],
                       seed_of(self.seed, position))


@DATA_SAMPLERS.register_module()
class SeededDefaultSampler(DefaultSampler):
    """Draws of one epoch after another.

    Arguments are those of :class:`mmengine.dataset.DefaultSampler`.
    """

    def __iter__(self) -> Iterator[Draw]:
        """Yield the draws of this process in the present epoch."""
        first = self.epoch * self.total_size + self.rank
        for turn, index in enumerate(super().__iter__()):
            yield Draw(index,
                       seed_of(self.seed, first + turn * self.world_size))
