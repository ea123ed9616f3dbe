"""Detectors: how encoders, heads and losses are put together."""
from .bitemporal import BitemporalDetector
from .triple_branch import TripleBranchDetector
from .tta import ChangeTTAModel

__all__ = ['BitemporalDetector', 'ChangeTTAModel', 'TripleBranchDetector']
