"""Small blocks that two or more parts of a model use."""
from .bands import fit_bands
from .conv_relu import ConvReLU2d, ResidualReLU
from .depthwise import DepthwiseConv2d
from .reductions import mean, mean_max
from .split_conv import conv_over_parts, conv_over_scales, resize_map

__all__ = [
    'ConvReLU2d', 'DepthwiseConv2d', 'ResidualReLU', 'conv_over_parts',
    'conv_over_scales', 'fit_bands', 'mean', 'mean_max', 'resize_map'
]
