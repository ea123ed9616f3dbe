"""Small blocks that two or more parts of a model use."""
from .bands import fit_bands
from .checks import channels_of, check_batch, check_channels
from .conv_module import DefaultInitConvModule
from .conv_relu import ConvReLU2d, ResidualReLU
from .depthwise import DepthwiseConv2d
from .exchange import (
    AggregationDistribution,
    ChannelExchange,
    SpatialExchange,
)
from .feature_fusion import FeatureFusion
from .pooled_attention import ConvBlockAttention, DoublePoolingFusion
from .reductions import mean, mean_max
from .split_conv import (
    add,
    conv_over_parts,
    conv_over_scales,
    dates_apart,
    resize_map,
)
from .stages import stages_of
from .upsample_fuse import UpsampleFuse

__all__ = [
    'AggregationDistribution', 'ChannelExchange', 'ConvBlockAttention',
    'ConvReLU2d', 'DefaultInitConvModule', 'DepthwiseConv2d',
    'DoublePoolingFusion', 'FeatureFusion', 'ResidualReLU', 'SpatialExchange',
    'UpsampleFuse', 'add', 'channels_of', 'check_batch', 'check_channels',
    'conv_over_parts', 'conv_over_scales', 'dates_apart', 'fit_bands', 'mean',
    'mean_max', 'resize_map', 'stages_of'
]
