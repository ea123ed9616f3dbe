"""Soft Dice for change maps."""
import torch
from torch import Tensor, nn

from opencd_gold.registry import MODELS

from .logits import soft_classes, two_classes


@MODELS.register_module()
class ChangeDiceLoss(nn.Module):
    r"""Soft Dice, sums over the whole batch.

    .. math::
        s_c = \frac{2 tp_c + \epsilon}{2 tp_c + fp_c + fn_c + \epsilon}
        \qquad L = 1 - \mathrm{mean}_c s_c

    with :math:`tp_c = \sum t_c p_c`, :math:`fp_c = \sum p_c - tp_c`,
    :math:`fn_c = \sum t_c - tp_c`, p the softmax (or sigmoid) and t the
    one-hot label; ignored pixels count nowhere. Of two classes the label may
    be soft, the probability of change.

    Args:
        mode (str): ``'mean'``: over all classes. ``'change'``: the last class
            alone. ``'code'``: as in GOLD's published code, where the label of
            *both* classes is that of the background, so that it cannot tell
            a map from its inverse; for parity alone. Default: ``'mean'``.
        smooth (float): :math:`\epsilon`. Default: 1e-5.
        loss_weight (float): Default: 1.
        loss_name (str): Default: ``'loss_dice'``.

    Raises:
        ValueError: For another mode.
    """

    modes = ('mean', 'change', 'code')

    def __init__(self,
                 mode: str = 'mean',
                 smooth: float = 1e-5,
                 loss_weight: float = 1.,
                 loss_name: str = 'loss_dice'):
        super().__init__()
        if mode not in self.modes:
            raise ValueError(
                f'ChangeDiceLoss: mode must be one of {self.modes}, got '
                f'{mode!r}')
        self.mode = mode
        self.smooth = smooth
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, logits: Tensor, target: Tensor,
                ignore_index: int = 255) -> Tensor:
        """Compute the loss.

        Args:
            logits (Tensor): ``(N, K, H, W)``; K = 1 for a sigmoid output.
            target (Tensor): Class indices ``(N, H, W)``; or floating point,
                probabilities of change and ``ignore_index``.
            ignore_index (int): Default: 255.

        Returns:
            Tensor: Scalar.
        """
        prob = two_classes(logits).softmax(dim=1)
        valid = (target != ignore_index).unsqueeze(1)
        prob = prob * valid
        classes = torch.arange(prob.shape[1], device=target.device)
        if self.mode == 'code':
            classes = torch.zeros_like(classes)
        if target.is_floating_point():
            truth = soft_classes(target, ignore_index)[:, classes]
        else:
            truth = target.unsqueeze(1) == classes.view(1, -1, 1, 1)
            truth = (truth & valid).to(prob.dtype)

        overlap = (prob * truth).sum((0, 2, 3))
        total = prob.sum((0, 2, 3)) + truth.sum((0, 2, 3))
        score = (2 * overlap + self.smooth) / (total + self.smooth)
        if self.mode == 'change':
            score = score[-1:]
        return self.loss_weight * (1 - score.mean())
