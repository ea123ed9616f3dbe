"""Cross entropy of the pixels that are hard."""
import torch
import torch.nn.functional as F
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
    is divided by the number of all pixels, easy and ignored ones included, as
    in mmsegmentation's ``OHEMPixelSampler`` with its cross entropy, which
    Changer trains with. (Online hard example mining:
    https://arxiv.org/abs/1604.03540.)

    Args:
        thresh (float): t. Default: 0.7.
        min_kept (int): m, pixels a sample that count at least. Default:
            100000.
        loss_weight (float): Default: 1.
        loss_name (str): Default: ``'loss_ce'``.

    Raises:
        ValueError: If ``min_kept`` is not positive.
    """

    def __init__(self,
                 thresh: float = 0.7,
                 min_kept: int = 100000,
                 loss_weight: float = 1.,
                 loss_name: str = 'loss_ce'):
        super().__init__()
        if min_kept < 1:
            raise ValueError('HardPixelCrossEntropyLoss: min_kept must be '
                             f'positive, got {min_kept}')
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
        entropy = F.cross_entropy(
            two_classes(logits),
            target,
            ignore_index=ignore_index,
            reduction='none')
        valid = target != ignore_index
        with torch.no_grad():
            probability = torch.exp(-entropy)
            threshold = self._threshold(probability[valid], len(target))
            hard = valid & (probability < threshold)
        return self.loss_weight * (entropy * hard).sum() / entropy.numel()

    def _threshold(self, probability: Tensor, samples: int):
        """Probability below which a pixel counts."""
        if not len(probability):
            return self.thresh
        rank = min(self.min_kept * samples, len(probability) - 1)
        return probability.kthvalue(rank + 1).values.clamp(min=self.thresh)
