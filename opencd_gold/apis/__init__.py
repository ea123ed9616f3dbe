"""What scripts and notebooks call."""
from .inference import init_model

__all__ = ['init_model']
