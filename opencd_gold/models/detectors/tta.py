"""Flip test-time augmentation of change maps."""
from typing import List, Optional, Sequence

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

from opencd_gold.registry import MODELS
from opencd_gold.structures import class_map

_FLIPPED_DIMS = dict(horizontal=(-1, ), vertical=(-2, ), diagonal=(-2, -1))
_DIRECTION = 'tta_flip_direction'


def undo_flip(scores: Tensor, direction: Optional[str]) -> Tensor:
    """Turn the scores of a flipped image back.

    Args:
        scores (Tensor): ``(..., H, W)``.
        direction (str, optional): How the image was flipped:
            ``'horizontal'``, ``'vertical'``, ``'diagonal'`` (both), or None.

    Returns:
        Tensor: ``(..., H, W)``.

    Raises:
        ValueError: If the direction is none of these.
    """
    if direction is None:
        return scores
    if direction not in _FLIPPED_DIMS:
        raise ValueError(f'flip_direction={direction!r}: expected one of '
                         f'{", ".join(_FLIPPED_DIMS)} or None')
    return scores.flip(_FLIPPED_DIMS[direction])


@MODELS.register_module()
class ChangeTTAModel(BaseTTAModel):
    r"""Average the class probabilities of an image and its flips.

    .. math:: p = \frac{1}{n} \sum_i F_i^{-1}(\sigma(f(F_i x)))

    with the detector f, the flips F_i, and softmax over the classes, or
    sigmoid for one channel, as sigma. The scores of a teacher
    (``teacher_seg_logits``), where the data samples hold them, are merged
    likewise. The threshold is that of the head whose scores they are; of
    partitions (``OriginPartitionDetector``), that of the partition of the
    image as it is.

    Departures from mmseg's ``SegTTAModel``: diagonal flips work (the flip is
    undone here, not in the detector); the sigmoid of a one-channel detector,
    which its post-processing has already applied, is not applied twice; the
    result holds the merged scores and the meta information and label of the
    image as it is, not of its last flip.

    In ``tta_pipeline`` the label is loaded after the flips, as in mmseg's
    pipelines, or the augmentations include the image itself.

    Args:
        module (dict | nn.Module): The detector, an mmseg segmentor.
        data_preprocessor (dict | nn.Module, optional): Takes the place of
            the detector's own. Default: None.
    """

    def test_step(self, data: dict) -> List[SegDataSample]:
        """Predict every augmentation and merge.

        Args:
            data (dict): ``inputs`` and ``data_samples``, each a list over
                augmentations of lists over the batch.

        Returns:
            list[SegDataSample]: One an image.
        """
        for samples in data['data_samples']:
            for sample in samples:
                flipped = sample.get('flip', False)
                direction = sample.get('flip_direction') if flipped else None
                sample.set_metainfo({
                    _DIRECTION: direction,
                    'flip': False,
                    'flip_direction': None
                })
        return super().test_step(data)

    def merge_preds(
        self, data_samples_list: Sequence[Sequence[SegDataSample]]
    ) -> List[SegDataSample]:
        """Merge the predictions of each image.

        Args:
            data_samples_list (list[list[SegDataSample]]): For each image one
                prediction an augmentation; ``seg_logits`` of shape
                ``(K, H, W)``, probabilities where K is 1.

        Returns:
            list[SegDataSample]: With ``pred_sem_seg`` ``(1, H, W)`` and
            ``seg_logits`` ``(K, H, W)``: the logarithm of the mean
            probability, whose softmax is that mean, or for one channel the
            mean probability itself.
        """
        return [self._merge(samples) for samples in data_samples_list]

    def _merge(self, samples: Sequence[SegDataSample]) -> SegDataSample:
        """Merge the predictions of one image."""
        plain = [
            sample for sample in samples if sample.get(_DIRECTION) is None
        ]
        merged = (plain or samples)[0].clone()
        model = self.module
        if 'partition' in merged:
            model = model.partitions[merged.partition]
        for teacher, head in (('', 'decode_head'),
                              ('teacher_', 'teacher_head')):
            if f'{teacher}seg_logits' not in merged:
                continue
            mean = torch.stack([
                undo_flip(
                    _probabilities(sample.get(f'{teacher}seg_logits').data),
                    sample.get(_DIRECTION)) for sample in samples
            ]).mean(0)
            scores = mean
            if len(mean) > 1:
                scores = mean.clamp_min(torch.finfo(mean.dtype).tiny).log()
            prediction = class_map(scores, getattr(model, head).threshold)
            merged.set_data({
                f'{teacher}pred_sem_seg': PixelData(data=prediction),
                f'{teacher}seg_logits': PixelData(data=scores)
            })
        return merged


def _probabilities(scores: Tensor) -> Tensor:
    """Class probabilities; post-processing has made those of one channel."""
    return scores.softmax(0) if len(scores) > 1 else scores
