"""Small blocks that two or more parts of a model use."""
from .split_conv import conv_over_parts

__all__ = ['conv_over_parts']
