"""Depth-wise convolution that is fast to train on a CPU."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from opencd_gold.compat import is_compiling


class _SameConv(torch.autograd.Function):
    """Depth-wise convolution of stride 1 with a quick gradient of the kernel.

    That gradient is itself a depth-wise convolution: of each padded map with
    the gradient of its output as the kernel, summed over the batch.
    """

    @staticmethod
    def forward(ctx, x, weight, padding):
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return F.conv2d(x, weight, padding=padding, groups=len(weight))

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x, _, _ = torch.ops.aten.convolution_backward(
                grad, x, weight, None, (1, 1), ctx.padding, (1, 1), False,
                (0, 0), len(weight), (True, False, False))
        if ctx.needs_input_grad[1]:
            n, c, h, w = grad.shape
            rows, columns = ctx.padding
            padded = F.pad(x, (columns, columns, rows, rows))
            # (N, C, H, W) to (1, N C, H, W), channels last in memory
            maps = padded.permute(2, 3, 0, 1).reshape(
                1, *padded.shape[2:], n * c).permute(0, 3, 1, 2)
            grad_weight = F.conv2d(
                maps, grad.reshape(n * c, 1, h, w), groups=n * c)
            grad_weight = grad_weight.view(
                n, c, 1, *weight.shape[2:]).sum(0)
        return grad_x, grad_weight, None


class DepthwiseConv2d(nn.Module):
    """A depth-wise convolution in the form that the CPU does fastest.

    The gradient of the kernel of a depth-wise convolution is several times
    slower in bfloat16 than in float32 on CPUs, for 5x5 kernels and for stride
    2, and for 5x5 kernels it is faster still as a forward convolution. Under
    CPU autocast this module computes those in float32; elsewhere it is the
    plain convolution.

    Args:
        conv (nn.Conv2d): The convolution, whose parameter becomes this
            module's ``weight``. It may bring its padding as a module
            ``static_padding``.

    Raises:
        ValueError: If ``conv`` is not depth-wise, or is dilated or biased.
    """

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        if conv.groups != conv.in_channels or conv.bias is not None or (
                tuple(conv.dilation) != (1, 1)):
            raise ValueError(
                'DepthwiseConv2d: expected a depth-wise convolution without '
                f'bias and dilation, got {conv}')
        self.weight = conv.weight
        self.stride = tuple(conv.stride)
        pad = getattr(conv, 'static_padding', None)
        if isinstance(pad, nn.ZeroPad2d):
            self.padding = tuple(pad.padding)
        else:
            rows, columns = conv.padding
            self.padding = (columns, columns, rows, rows)

    def extra_repr(self) -> str:
        """Show the shape, as a convolution does."""
        channels, _, *kernel = self.weight.shape
        return (f'{channels}, kernel_size={tuple(kernel)}, '
                f'stride={self.stride}, padding={self.padding}')

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (N, C, H, W); the result has the dtype of ``x``."""
        if x.device.type != 'cpu' or is_compiling():
            return self._convolve(x)
        mixed = torch.is_autocast_cpu_enabled()
        quick = self.stride == (1, 1) and self.weight.shape[-1] <= 3
        if quick or not mixed or not torch.is_grad_enabled():
            return self._convolve(x)
        with torch.autocast('cpu', enabled=False):
            if self.stride == (1, 1) and self._symmetric():
                out = _SameConv.apply(x.float(), self.weight,
                                      self.padding[2::-2])
            else:
                out = self._convolve(x.float())
            return out.to(x.dtype)

    def _symmetric(self) -> bool:
        left, right, top, bottom = self.padding
        return left == right and top == bottom

    def _convolve(self, x: Tensor) -> Tensor:
        own = self.padding[2::-2]
        if not self._symmetric():
            x, own = F.pad(x, self.padding), 0
        return F.conv2d(
            x, self.weight, None, self.stride, own, groups=len(self.weight))
