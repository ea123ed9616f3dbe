"""Encoders that mmsegmentation lacks."""
from .efficientnet_lite import EfficientNetLite

__all__ = ['EfficientNetLite']
