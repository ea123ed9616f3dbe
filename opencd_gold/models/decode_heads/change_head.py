"""What every change head has in common."""
from abc import abstractmethod
from typing import Dict, List

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.utils import SampleList
from torch import Tensor, nn

from opencd_gold.models.layers import resize_map
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs


def stack_labels(data_samples: SampleList) -> Tensor:
    """Labels of a batch.

    Args:
        data_samples (list[SegDataSample]): With ``gt_sem_seg``.

    Returns:
        Tensor: Class indices ``(N, H, W)``, int64; 255 where ignored.
    """
    return torch.stack(
        [sample.gt_sem_seg.data.squeeze(0) for sample in data_samples]).long()


class ChangeHead(BaseDecodeHead):
    """Base of heads that compare two dates.

    A head gets the features of the two dates and returns
    :class:`~opencd_gold.structures.BranchOutputs`; losses and resizing are
    the same for all.

    Args:
        in_channels (int): Channels of each date.
        channels (int): Channels before the last convolution.
        num_classes (int): Classes, unchanged included. Default: 2.
        out_channels (int, optional): 1 for one sigmoid output of two
            classes. Default: None, ``num_classes``.
        threshold (float, optional): Probability of change above which a
            pixel counts as changed, for one or two channels. Default: None,
            0.5 for one channel, the higher score for more.
        dropout_ratio (float): Channel dropout before the last convolution.
            Default: 0.1.
        loss_decode (dict | list[dict]): Supervision. Default: None,
            :class:`~opencd_gold.models.ChangeCrossEntropyLoss`.
        align_corners (bool): Of the resize of the logits. Default: False.
        norm_cfg (dict, optional): Default: None, batch normalisation.
        act_cfg (dict, optional): Default: None, ReLU.
        ignore_index (int): Default: 255.
        init_cfg (dict, optional): Default: None, PyTorch's initialisation.

    Raises:
        ValueError: If ``threshold`` is not from 0 to 1, or is given for
            more than two channels.
    """

    def __init__(self,
                 in_channels: int,
                 channels: int,
                 num_classes: int = 2,
                 out_channels: int = None,
                 threshold: float = None,
                 dropout_ratio: float = 0.1,
                 loss_decode=None,
                 align_corners: bool = False,
                 norm_cfg: dict = None,
                 act_cfg: dict = None,
                 ignore_index: int = 255,
                 init_cfg=None):
        out_channels = out_channels or num_classes
        if out_channels == 1 and threshold is None:
            threshold = 0.5
        if threshold is not None and (out_channels > 2
                                      or not 0 <= threshold <= 1):
            raise ValueError(
                f'{type(self).__name__}: threshold must be from 0 to 1 and is '
                f'for one or two channels, got {threshold} for '
                f'{out_channels} channels')
        super().__init__(
            in_channels,
            channels,
            num_classes=num_classes,
            out_channels=out_channels,
            threshold=threshold,
            dropout_ratio=dropout_ratio,
            loss_decode=[],
            align_corners=align_corners,
            norm_cfg=norm_cfg or dict(type='BN'),
            act_cfg=act_cfg or dict(type='ReLU'),
            ignore_index=ignore_index,
            init_cfg=init_cfg)
        loss_decode = loss_decode or dict(type='ChangeCrossEntropyLoss')
        if isinstance(loss_decode, dict):
            loss_decode = [loss_decode]
        self.loss_decode = nn.ModuleList(map(MODELS.build, loss_decode))

    @abstractmethod
    def forward(self, feat_from: Tensor, feat_to: Tensor,
                *more: Tensor) -> BranchOutputs:
        """Compare two dates.

        Args:
            feat_from (Tensor): ``(N, C, h, w)``.
            feat_to (Tensor): ``(N, C, h, w)``.
            more (Tensor): Further views of the other date, where the head
                takes them.

        Returns:
            BranchOutputs: With logits at the resolution of the features.
        """

    def upsample(self, logits: Tensor, size) -> Tensor:
        """Resize logits ``(N, K, h, w)`` to ``size``, in float32."""
        return resize_map(logits.float(), size, self.align_corners)

    def supervise(self, logits: Tensor, target: Tensor) -> Dict[str, Tensor]:
        """Losses against the labels, by name.

        Args:
            logits (Tensor): ``(N, K, H, W)``, at the size of the labels.
            target (Tensor): ``(N, H, W)``, int64.

        Returns:
            dict[str, Tensor]: Scalars; each includes its ``loss_weight``.
        """
        losses = {}
        for module in self.loss_decode:
            value = module(logits, target, ignore_index=self.ignore_index)
            name = module.loss_name
            losses[name] = losses[name] + value if name in losses else value
        return losses

    def loss_by_outputs(self, outputs: BranchOutputs,
                        target: Tensor) -> Dict[str, Tensor]:
        """Losses of what :meth:`forward` returned.

        A head with further outputs supervises them here too.

        Args:
            outputs (BranchOutputs): At the resolution of the head.
            target (Tensor): ``(N, H, W)``, int64.

        Returns:
            dict[str, Tensor]: Scalars; their sum is minimised.
        """
        return self.supervise(
            self.upsample(outputs.logits, target.shape[-2:]), target)

    def predict_by_feat(self, seg_logits: Tensor,
                        batch_img_metas: List[dict]) -> Tensor:
        """Resize logits to the input, in float32.

        As mmseg's head, whose resize would fix the sizes of an exported
        model.

        Args:
            seg_logits (Tensor): ``(N, K, h, w)``.
            batch_img_metas (list[dict]): The first one's ``img_shape``, if
                it is a ``torch.Size`` (a window), or ``pad_shape``.

        Returns:
            Tensor: ``(N, K, H, W)``.
        """
        size = batch_img_metas[0]['img_shape']
        if not isinstance(size, torch.Size):
            size = batch_img_metas[0].get('pad_shape', size)
        return self.upsample(seg_logits, size[:2])
