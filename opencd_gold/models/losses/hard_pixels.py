"""Cross entropy of the pixels that are hard."""
from types import SimpleNamespace

import torch.nn.functional as F
from mmseg.structures.sampler import OHEMPixelSampler
from torch import Tensor, nn

from opencd_gold.registry import MODELS

from .logits import two_classes


@MODELS.register_module()
class HardPixelCrossEntropyLoss(nn.Module):
    r"""Cross entropy with online mining of hard pixels.

    With p the probability of the true class and n samples in the batch, a
    pixel that is not ignored counts where

    .. math:: p_i < \max(p_{(k)}, t), \quad k = \min(m n, n_{valid} - 1)

    with :math:`p_{(k)}` the k-th smallest of all, from 0. The sum over those
    is divided by the number of all pixels, easy and ignored ones included:
    mmsegmentation's ``OHEMPixelSampler`` with its cross entropy, which
    Changer trains with. (Online hard example mining:
    https://arxiv.org/abs/1604.03540.)

    Args:
        thresh (float): t. Default: 0.7.
        min_kept (int): m, pixels a sample that count at least, 2 or more.
            Default: 100000.
        loss_weight (float): Default: 1.
        loss_name (str): Default: ``'loss_ce'``.

    Raises:
        ValueError: If ``min_kept`` is below 2.
    """

    def __init__(self,
                 thresh: float = 0.7,
                 min_kept: int = 100000,
                 loss_weight: float = 1.,
                 loss_name: str = 'loss_ce'):
        super().__init__()
        if min_kept < 2:
            raise ValueError('HardPixelCrossEntropyLoss: min_kept must be at '
                             f'least 2, got {min_kept}')
        self.thresh = thresh
        self.min_kept = min_kept
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, logits: Tensor, target: Tensor,
                ignore_index: int = 255) -> Tensor:
        """Compute the loss.

        Args:
            logits (Tensor): ``(N, K, H, W)``; K = 1 for one sigmoid output.
            target (Tensor): Class indices ``(N, H, W)``.
            ignore_index (int): Default: 255.

        Returns:
            Tensor: Scalar; 0 where all pixels are ignored.
        """
        logits = two_classes(logits)
        entropy = F.cross_entropy(
            logits, target, ignore_index=ignore_index, reduction='none')
        sampler = OHEMPixelSampler(
            SimpleNamespace(ignore_index=ignore_index), self.thresh,
            self.min_kept)
        hard = sampler.sample(logits, target.unsqueeze(1))
        return self.loss_weight * (entropy * hard).mean()
