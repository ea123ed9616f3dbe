"""Between encoder and head: fusion of scales, exchange between dates."""
from .channel_interaction import ChannelInteraction
from .context_pyramid import ContextPyramid
from .flow_dual_alignment import FlowDualAlignment
from .multi_scale_fusion import MultiScaleFusion
from .top_down_decoder import TopDownDecoder

__all__ = [
    'ChannelInteraction', 'ContextPyramid', 'FlowDualAlignment',
    'MultiScaleFusion', 'TopDownDecoder'
]
