"""Between encoder and head: fusion of scales, exchange between dates."""
from .channel_interaction import ChannelInteraction
from .multi_scale_fusion import MultiScaleFusion

__all__ = ['ChannelInteraction', 'MultiScaleFusion']
