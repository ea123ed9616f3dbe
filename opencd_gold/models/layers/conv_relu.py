"""Convolution, sum and ReLU in one pass, for prediction."""
from typing import Optional, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from opencd_gold.compat import is_compiling


class ConvReLU2d(nn.Conv2d):
    """``relu(conv(x) + shortcut)``; on a CPU oneDNN does all of it in one.

    For prediction alone: what it computes on a CPU has no gradient. An input
    in another precision than the weights is cast to theirs.
    """

    @classmethod
    def from_conv(cls, conv: nn.Conv2d) -> 'ConvReLU2d':
        """Take over the parameters of a convolution.

        Args:
            conv (nn.Conv2d): With zero padding given as numbers.

        Returns:
            ConvReLU2d: Shares its parameters.

        Raises:
            ValueError: For another padding.
        """
        if not cls.fits(conv):
            raise ValueError('ConvReLU2d: expected a convolution with zero '
                             f'padding given as numbers, got {conv}')
        # Built without memory; the parameters of conv take their place.
        module = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            conv.dilation,
            conv.groups,
            bias=conv.bias is not None,
            device='meta')
        module.weight, module.bias = conv.weight, conv.bias
        return module.train(conv.training)

    @staticmethod
    def fits(module: nn.Module) -> bool:
        """Whether :meth:`from_conv` takes ``module``."""
        return (type(module) is nn.Conv2d and module.padding_mode == 'zeros'
                and not isinstance(module.padding, str))

    def forward(self, x: Tensor, shortcut: Optional[Tensor] = None) -> Tensor:
        """Convolve, add, rectify.

        Args:
            x (Tensor): ``(N, C, H, W)``.
            shortcut (Tensor, optional): ``(N, C', H', W')``. Default: None.

        Returns:
            Tensor: ``(N, C', H', W')``, in the precision of the weights.
        """
        x = x.to(self.weight.dtype)
        if shortcut is not None:
            shortcut = shortcut.to(x.dtype)
        # oneDNN adds in channels-last alone.
        adds = self.groups == 1 and not x.is_contiguous()
        if not _onednn_takes(x) or not (shortcut is None or adds):
            out = super().forward(x)
            return F.relu_(out if shortcut is None else out + shortcut)
        conv = torch.ops.mkldnn._convolution_pointwise
        geometry = (self.padding, self.stride, self.dilation, self.groups)
        if shortcut is None:
            return conv(x, self.weight, self.bias, *geometry, 'relu', [], '')
        return conv.binary(x, shortcut, self.weight, self.bias, *geometry,
                           'add', 1., 'relu', [], '')


class ResidualReLU(nn.Module):
    """A residual block of :class:`ConvReLU2d`, for prediction.

    ``relu(conv_n(... conv_1(x)) + downsample(x))`` with a ReLU after each
    convolution before the last.

    Args:
        convs (Sequence[ConvReLU2d]): In order.
        downsample (nn.Module, optional): Of the shortcut. Default: None, the
            input itself.
    """

    def __init__(self,
                 convs: Sequence[ConvReLU2d],
                 downsample: Optional[nn.Module] = None):
        super().__init__()
        self.convs = nn.ModuleList(convs)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C', H', W')``."""
        shortcut = x if self.downsample is None else self.downsample(x)
        for conv in self.convs[:-1]:
            x = conv(x)
        return self.convs[-1](x, shortcut)


def _onednn_takes(x: Tensor) -> bool:
    if x.device.type != 'cpu' or is_compiling() or (
            not torch.backends.mkldnn.is_available()):
        return False
    return x.dtype is torch.float32 or (
        x.dtype is torch.bfloat16
        and torch.ops.mkldnn._is_mkldnn_bf16_supported())
