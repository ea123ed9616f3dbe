"""Channel interaction of two dates (GOLD's bidirectional attention)."""
from typing import Tuple

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from opencd_gold.models.layers import check_channels, mean_max
from opencd_gold.registry import MODELS


def _bottleneck(in_channels: int, hidden: int, channels: int):
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden, 1, bias=False), nn.ReLU(inplace=True),
        nn.Conv2d(hidden, channels, 1, bias=False))


@MODELS.register_module()
class ChannelInteraction(BaseModule):
    r"""Weight the channels of each date by what the other date shows.

    With avg and max the global average and maximum pooling:

    .. math::
        w_i = \sigma(f(avg(x_i)) + f(max(x_i))), \quad i = 1, 2

        w_s = \sigma(g([avg(x_1), avg(x_2)]) + g([max(x_1), max(x_2)]))

        x_1' = x_1 (1 + w_2 + w_s), \quad x_2' = x_2 (1 + w_1 + w_s)

    (GOLD, algorithm 3.) In the form of the paper the arguments of ``g`` are
    added before it: ``w_s = sigma(g(avg pair + max pair))``.

    Args:
        channels (int): Channels of each date.
        reduction (int): Of the hidden layers. Default: 16.
        form (str): ``'code'`` or ``'paper'``. Default: ``'code'``, the form
            of the authors' weights.
        init_cfg (dict, optional): Default: None.

    Raises:
        ValueError: For another form.
    """

    def __init__(self,
                 channels: int,
                 reduction: int = 16,
                 form: str = 'code',
                 init_cfg=None):
        super().__init__(init_cfg)
        if form not in ('code', 'paper'):
            raise ValueError("ChannelInteraction: form must be 'code' or "
                             f"'paper', got {form!r}")
        hidden = max(channels // reduction, 1)
        self.channels = channels
        self.form = form
        self.modality_mlp = _bottleneck(channels, hidden, channels)
        self.common_mlp = _bottleneck(2 * channels, hidden, channels)

    def forward(self, x1: Tensor, x2: Tensor) -> Tuple[Tensor, Tensor]:
        """Exchange channel weights.

        Args:
            x1 (Tensor): First date, ``(N, C, h, w)``.
            x2 (Tensor): Other date, same shape.

        Returns:
            tuple[Tensor, Tensor]: Both dates, weighted, same shapes.

        Raises:
            ValueError: For other channels.
        """
        check_channels(self, self.channels, x1, x2, name='channels')
        pooled = [mean_max(x, (2, 3)) for x in (x1, x2)]
        own = [
            torch.sigmoid(self.modality_mlp(avg) + self.modality_mlp(top))
            for avg, top in pooled
        ]
        avg = torch.cat([pooled[0][0], pooled[1][0]], dim=1)
        top = torch.cat([pooled[0][1], pooled[1][1]], dim=1)
        if self.form == 'code':
            common = self.common_mlp(avg) + self.common_mlp(top)
        else:
            common = self.common_mlp(avg + top)
        common = torch.sigmoid(common) + 1
        return x1 * (own[1] + common), x2 * (own[0] + common)
