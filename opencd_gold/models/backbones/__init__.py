"""Encoders that mmsegmentation lacks."""
from .efficientnet_lite import EfficientNetLite
from .mix_transformer import MixTransformer

__all__ = ['EfficientNetLite', 'MixTransformer']
