"""Detectors: how encoders, heads and losses are put together."""
from .bitemporal import BitemporalDetector
from .interacting import InteractingDetector
from .multi_teacher import MultiTeacherDetector
from .origin_partition import OriginPartitionDetector
from .routing import ChangeAreaRouter
from .triple_branch import TripleBranchDetector
from .tta import ChangeTTAModel

__all__ = [
    'BitemporalDetector', 'ChangeAreaRouter', 'ChangeTTAModel',
    'InteractingDetector', 'MultiTeacherDetector', 'OriginPartitionDetector',
    'TripleBranchDetector'
]
