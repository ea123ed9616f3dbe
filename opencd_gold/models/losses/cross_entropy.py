"""Cross entropy for change maps."""
from typing import Optional, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from opencd_gold.registry import MODELS

from .logits import soft_classes, two_classes


@MODELS.register_module()
class ChangeCrossEntropyLoss(nn.Module):
    r"""Weighted cross entropy, normalised by the weights that counted.

    .. math:: L = \frac{\sum_i w_{y_i} (-\log p_{i, y_i})}{\sum_i w_{y_i}}

    over the pixels that are not ignored; 0 where all are. With one output
    channel it is the binary form, with the same weights and normalisation.
    Of two classes the label may be soft, the probability t of change: a pixel
    is then (1 - t) of a pixel of the first class and t of the second.

    Args:
        class_weight (Sequence[float], optional): One weight a class. GOLD
            uses ``(0.1, 0.9)``. Default: None, equal weights.
        loss_weight (float): Default: 1.
        loss_name (str): Default: ``'loss_ce'``.
    """

    def __init__(self,
                 class_weight: Optional[Sequence[float]] = None,
                 loss_weight: float = 1.,
                 loss_name: str = 'loss_ce'):
        super().__init__()
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        weight = None if class_weight is None else torch.tensor(
            list(class_weight), dtype=torch.float32)
        self.register_buffer('class_weight', weight, persistent=False)

    def forward(self, logits: Tensor, target: Tensor,
                ignore_index: int = 255) -> Tensor:
        """Compute the loss.

        Args:
            logits (Tensor): ``(N, K, H, W)``; K = 1 for the binary form.
            target (Tensor): Class indices ``(N, H, W)``; or floating point,
                probabilities of change and ``ignore_index``.
            ignore_index (int): Default: 255.

        Returns:
            Tensor: Scalar.
        """
        logits = two_classes(logits)
        if target.is_floating_point():
            shares = soft_classes(target, ignore_index)
            if self.class_weight is not None:
                shares = shares * self.class_weight.view(1, -1, 1, 1)
            total = -(F.log_softmax(logits, 1) * shares).sum()
            return self.loss_weight * total / shares.sum().clamp(min=1e-8)
        total = F.cross_entropy(
            logits,
            target,
            weight=self.class_weight,
            ignore_index=ignore_index,
            reduction='sum')
        counted = target != ignore_index
        if self.class_weight is None:
            norm = counted.sum()
        else:
            weights = self.class_weight[target.where(counted, 0)]
            norm = (weights * counted).sum()
        return self.loss_weight * total / norm.clamp(min=1e-8)
