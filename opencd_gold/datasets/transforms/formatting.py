"""Packing of a sample for the model."""
from typing import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from opencd_gold.registry import TRANSFORMS

from .base import check_same_size


@TRANSFORMS.register_module()
class MultiImgPackSegInputs(BaseTransform):
    """Pack the images of a sample into one tensor, and the label beside it.

    ``inputs`` is ``(sum of bands, H, W)``, the images one after another on
    the band axis: uint8 where all images are, float32 otherwise.
    ``data_samples`` is a :class:`mmseg.structures.SegDataSample` with
    ``gt_sem_seg``, ``(1, H, W)`` int64, where there is a label, else with
    ``nodata_mask``, ``(1, H, W)`` bool, where an image lacks data.

    Args:
        meta_keys (Sequence[str]): Keys to hand on as metainfo, where present.
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = ('img_path', 'seg_map_path', 'sensors',
                                    'ori_shape', 'img_shape', 'pad_shape',
                                    'scale_factor', 'flip', 'flip_direction',
                                    'exchanged', 'color_order',
                                    'reduce_zero_label')
    ) -> None:
        self.meta_keys = tuple(meta_keys)

    @staticmethod
    def _stack(images: Sequence[np.ndarray]) -> torch.Tensor:
        """Concatenate the bands of all images."""
        eight_bit = all(image.dtype == np.uint8 for image in images)
        dtype = np.uint8 if eight_bit else np.float32
        height, width = images[0].shape[:2]
        bands = sum(image.shape[2] for image in images)
        stacked = np.empty((bands, height, width), dtype)
        start = 0
        for image in images:
            end = start + image.shape[2]
            stacked[start:end] = image.transpose(2, 0, 1)
            start = end
        return torch.from_numpy(stacked)

    def transform(self, results: dict) -> dict:
        """Pack the sample.

        Args:
            results (dict): With ``img`` and, where known, ``gt_seg_map``.

        Returns:
            dict: With ``inputs`` and ``data_samples``.
        """
        check_same_size(dict(img=results['img'],
                             img_path=results.get('img_path', ())))
        sample = SegDataSample()
        if 'gt_seg_map' in results:
            label = results['gt_seg_map'].astype(np.int64)[None]
            sample.gt_sem_seg = PixelData(data=torch.from_numpy(label))
        elif 'nodata_mask' in results:
            mask = np.ascontiguousarray(results['nodata_mask'][None])
            sample.set_data(
                dict(nodata_mask=PixelData(data=torch.from_numpy(mask))))
        sample.set_metainfo({
            key: results[key]
            for key in self.meta_keys if key in results
        })
        return dict(inputs=self._stack(results['img']), data_samples=sample)

    def __repr__(self) -> str:
        """Name the arguments."""
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'
