"""Hooks of training and testing."""
from .checkpoint_hook import AtomicCheckpointHook, AtomicLocalBackend
from .curves import LossCurveHook
from .random_state_hook import RandomStateHook
from .visualization import ChangeVisualizationHook

__all__ = [
    'AtomicCheckpointHook', 'AtomicLocalBackend', 'ChangeVisualizationHook',
    'LossCurveHook', 'RandomStateHook'
]
