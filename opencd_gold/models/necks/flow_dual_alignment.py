"""Alignment of two dates by a flow field each (Changer)."""
from typing import Tuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from opencd_gold.models.layers import check_channels
from opencd_gold.registry import MODELS


def _places(size: int, like: Tensor) -> Tensor:
    """``size`` places from -1 to 1; linspace would fix an export's size."""
    place = torch.arange(size, device=like.device, dtype=like.dtype)
    return 2 * place / place[-1:].clamp(min=1) - 1


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """Sample a map where a flow field points to.

    Pixel (i, j) becomes the bilinear sample at ``(u_j + flow_0 / w,
    v_i + flow_1 / h)``, where u and v run from -1 to 1 over the width and the
    height; zero outside. A flow of 1 is therefore half a pixel, nearly: the
    division is that of the authors' code, which trained weights depend on.

    Args:
        x (Tensor): ``(N, C, h, w)``.
        flow (Tensor): ``(N, 2, h, w)``, horizontal and vertical.

    Returns:
        Tensor: ``(N, C, h, w)``.
    """
    height, width = x.shape[-2:]
    columns, rows = _places(width, flow), _places(height, flow).unsqueeze(1)
    grid = torch.stack(
        [columns + flow[:, 0] / width, rows + flow[:, 1] / height], dim=-1)
    return F.grid_sample(
        x, grid, mode='bilinear', padding_mode='zeros', align_corners=True)


@MODELS.register_module()
class FlowDualAlignment(BaseModule):
    r"""Move each date onto the other, and give what still differs.

    Flow dual-alignment fusion of Changer (https://arxiv.org/abs/2209.08290,
    section 3.3):

    .. math::
        (f_1, f_2) = g([x_1, x_2]), \quad
        y_1 = w(x_1, f_1) - x_2, \quad y_2 = w(x_2, f_2) - x_1

    with :func:`warp` as w, and g a depthwise 5x5 convolution, instance
    normalisation without parameters, GELU, and a 1x1 convolution.

    Args:
        channels (int): Of each date.
        init_cfg (dict, optional): Default: None, PyTorch's initialisation.
    """

    def __init__(self, channels: int, init_cfg=None):
        super().__init__(init_cfg)
        width = 2 * channels
        self.channels = channels
        self.flow = nn.Sequential(
            nn.Conv2d(width, width, 5, padding=2, groups=width),
            nn.InstanceNorm2d(width), nn.GELU(),
            nn.Conv2d(width, 4, 1, bias=False))

    def forward(self, x1: Tensor, x2: Tensor) -> Tuple[Tensor, Tensor]:
        """Align; flows and samples are computed in float32.

        Args:
            x1 (Tensor): First date, ``(N, C, h, w)``.
            x2 (Tensor): Other date, same shape.

        Returns:
            tuple[Tensor, Tensor]: Signed differences, same shapes.

        Raises:
            ValueError: For other channels.
        """
        check_channels(self, self.channels, x1, x2, name='channels')
        flow = self.flow(torch.cat([x1, x2], dim=1)).float()
        first, second = flow.chunk(2, dim=1)
        return (warp(x1.float(), first) - x2, warp(x2.float(), second) - x1)
