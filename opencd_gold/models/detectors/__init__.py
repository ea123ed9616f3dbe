"""Detectors: how encoders, heads and losses are put together."""
from .bitemporal import BitemporalDetector
from .interacting import InteractingDetector
from .triple_branch import TripleBranchDetector
from .tta import ChangeTTAModel

__all__ = [
    'BitemporalDetector', 'ChangeTTAModel', 'InteractingDetector',
    'TripleBranchDetector'
]
