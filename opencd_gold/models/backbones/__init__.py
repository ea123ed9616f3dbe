"""Encoders that mmsegmentation lacks."""
from .efficientnet_lite import EfficientNetLite
from .mix_transformer import MixTransformer
from .sgsln_encoder import SGSLNEncoder

__all__ = ['EfficientNetLite', 'MixTransformer', 'SGSLNEncoder']
