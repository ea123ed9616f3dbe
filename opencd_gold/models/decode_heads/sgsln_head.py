"""Head of SGSLN: dates fused at four scales, semantic guidance beside."""
from typing import Dict, Sequence

import torch
import torch.nn.functional as F
from mmengine.model import Sequential
from torch import Tensor, nn

from opencd_gold.models.layers import (
    DefaultInitConvModule,
    DoublePoolingFusion,
    check_channels,
)
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

from .change_head import ChangeHead


def soft_labels(target: Tensor, size, ignore_index: int = 255) -> Tensor:
    """Share of change at another resolution.

    Bilinear, corners not aligned: at half the size, the mean of each 2x2
    block. Ignored pixels count nowhere; a pixel of which nothing counts is
    ignored.

    Args:
        target (Tensor): Labels 0, 1 and ``ignore_index``, ``(N, H, W)``.
        size (tuple[int, int]): h and w.
        ignore_index (int): Default: 255.

    Returns:
        Tensor: ``(N, h, w)`` float32, from 0 to 1 or ``ignore_index``.
    """
    valid = (target != ignore_index).float()
    parts = torch.stack([target * valid, valid], dim=1)
    changed, valid = F.interpolate(
        parts, size=tuple(size), mode='bilinear',
        align_corners=False).unbind(1)
    share = changed / valid.clamp(min=1e-8)
    return share.where(valid > 0, float(ignore_index))


@MODELS.register_module()
class SGSLNHead(ChangeHead):
    r"""Spatial localisation from two semantic decoders.

    SGSLN (https://arxiv.org/abs/2311.11302). With :math:`d_k, d'_k` the
    decoded stages of the dates:

    1. :math:`f_k = DPFA(d_k, d'_k)` at every scale, see
       :class:`~opencd_gold.models.layers.DoublePoolingFusion`.
    2. A third top-down decoder over the :math:`f_k`.
    3. Two 3x3 convolutions with norm and ReLU, bilinear upsampling by 2 with
       aligned corners, a 7x7 convolution: the change logits, at twice the
       size of the finest stage.
    4. Auxiliary logits of each date, a 3x3 convolution of :math:`d_2`, not
       shared; supervised by the change label as well.

    .. math::
        L = \sum_l l(z, y) + \lambda (l(z_1, y') + l(z_2, y'))

    over the losses l of ``loss_decode``, with y' the label resized to the
    auxiliary logits, which is soft.

    Args:
        in_channels (Sequence[int]): Channels of the decoded stages of each
            date, finest first. Default: ``(64, 128, 256, 512)``.
        hidden_channels (Sequence[int]): Of the two convolutions of step 3.
            Default: ``(32, 8)``.
        aux_weight (float): :math:`\lambda`. Default: 0.2.
        plain (bool): Upsample and concatenate before 1x1 convolutions, and
            compute both softmax weights; for comparison. Default: False.
        kwargs: See :class:`ChangeHead`, but for ``dropout_ratio``: the
            encoder drops. ``align_corners`` is of the resize of the logits
            to the label; the upsampling of step 3 always aligns them.
    """

    def __init__(self,
                 in_channels: Sequence[int] = (64, 128, 256, 512),
                 hidden_channels: Sequence[int] = (32, 8),
                 aux_weight: float = 0.2,
                 plain: bool = False,
                 **kwargs):
        super().__init__(
            in_channels[0], hidden_channels[-1], dropout_ratio=0., **kwargs)
        self.in_channels = tuple(in_channels)
        self.aux_weight = aux_weight
        self.fusion = nn.ModuleList(
            DoublePoolingFusion(width, plain) for width in in_channels)
        self.decoder = MODELS.build(
            dict(
                type='TopDownDecoder',
                in_channels=in_channels,
                norm_cfg=self.norm_cfg,
                act_cfg=self.act_cfg,
                plain=plain))
        self.refine = Sequential(*(
            DefaultInitConvModule(
                width,
                hidden,
                3,
                padding=1,
                bias=True,
                norm_cfg=self.norm_cfg,
                act_cfg=self.act_cfg)
            for width, hidden in zip((in_channels[0], *hidden_channels),
                                     hidden_channels)))
        self.conv_seg = nn.Conv2d(
            hidden_channels[-1], self.out_channels, 7, padding=3)
        self.aux_seg = nn.ModuleList(
            nn.Conv2d(in_channels[0], self.out_channels, 3, padding=1)
            for _ in range(2))

    def forward(self, feat_from: Sequence[Tensor],
                feat_to: Sequence[Tensor]) -> BranchOutputs:
        """Compare two dates.

        Args:
            feat_from (Sequence[Tensor]): Decoded stages ``(N, C_i, h_i,
                w_i)``, finest first.
            feat_to (Sequence[Tensor]): The same of the other date.

        Returns:
            BranchOutputs: ``logits`` ``(N, K, 2 h_0, 2 w_0)``, ``fused`` the
            finest map of the change decoder; ``extras`` holds the auxiliary
            logits ``aux_from`` and ``aux_to`` ``(N, K, h_0, w_0)`` and the
            deepest fused map, ``deepest``; ``feat_from`` and ``feat_to`` are
            the finest stages.

        Raises:
            ValueError: If the stages are not those of ``in_channels``.
        """
        check_channels(self, self.in_channels, feat_from, feat_to)
        fused = [
            fusion(*pair)
            for fusion, *pair in zip(self.fusion, feat_from, feat_to)
        ]
        change = self.decoder(fused)[0]
        hidden = F.interpolate(
            self.refine(change),
            scale_factor=2,
            mode='bilinear',
            align_corners=True)
        aux_from, aux_to = (
            seg(feats[0])
            for seg, feats in zip(self.aux_seg, (feat_from, feat_to)))
        return BranchOutputs(
            feat_from=feat_from[0],
            feat_to=feat_to[0],
            fused=change,
            logits=self.conv_seg(hidden),
            extras=dict(
                aux_from=aux_from, aux_to=aux_to, deepest=fused[-1]))

    def loss_by_outputs(self, outputs: BranchOutputs,
                        target: Tensor) -> Dict[str, Tensor]:
        """Losses of the change logits, and of the auxiliary ones."""
        losses = super().loss_by_outputs(outputs, target)
        for name in ('aux_from', 'aux_to'):
            logits = outputs.extras[name].float()
            soft = soft_labels(target, logits.shape[-2:], self.ignore_index)
            for key, value in self.supervise(logits, soft).items():
                losses[f'{name}.{key}'] = self.aux_weight * value
        return losses
