"""Data sets, samplers and transforms of change detection."""
from .benchmarks import (
                         CDDDataset,
                         DSIFNDataset,
                         GoogleMapDataset,
                         GVLMDataset,
                         HCD3SDataset,
                         JL1CDDataset,
                         LEVIRCDDataset,
                         LEVIRCDPlusDataset,
                         MCDDataset,
                         NJDSDataset,
                         OmbriaDataset,
                         OpticalPairDataset,
                         S2LookingDataset,
                         SyntheticChangeDataset,
                         SYSUCDDataset,
                         WHUCDDataset,
                         XiongAnDataset,
)
from .change_dataset import ChangeDataset
from .reading import DatasetError
from .samplers import Draw, SeededDefaultSampler, SeededInfiniteSampler
from .transforms import *  # noqa: F401,F403

__all__ = [
    'CDDDataset', 'ChangeDataset', 'DSIFNDataset', 'DatasetError', 'Draw',
    'GVLMDataset', 'GoogleMapDataset', 'HCD3SDataset', 'JL1CDDataset',
    'LEVIRCDDataset', 'LEVIRCDPlusDataset', 'MCDDataset', 'NJDSDataset',
    'OmbriaDataset', 'OpticalPairDataset', 'S2LookingDataset', 'SYSUCDDataset',
    'SeededDefaultSampler', 'SeededInfiniteSampler', 'SyntheticChangeDataset',
    'WHUCDDataset', 'XiongAnDataset'
]
