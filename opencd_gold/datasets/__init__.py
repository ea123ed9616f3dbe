"""Data sets, samplers and transforms of change detection."""
from .benchmarks import (
                         HCD3SDataset,
                         JL1CDDataset,
                         OmbriaDataset,
                         OpticalPairDataset,
                         SyntheticChangeDataset,
                         SYSUCDDataset,
                         XiongAnDataset,
)
from .change_dataset import ChangeDataset
from .reading import DatasetError
from .samplers import Draw, SeededDefaultSampler, SeededInfiniteSampler
from .transforms import *  # noqa: F401,F403

__all__ = [
    'ChangeDataset', 'DatasetError', 'Draw', 'HCD3SDataset', 'JL1CDDataset',
    'OmbriaDataset', 'OpticalPairDataset', 'SYSUCDDataset',
    'SeededDefaultSampler', 'SeededInfiniteSampler', 'SyntheticChangeDataset',
    'XiongAnDataset'
]
