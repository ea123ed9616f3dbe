"""From loaded samples to a normalised batch."""
from numbers import Number
from typing import Dict, List, Optional, Sequence, Union

import torch
from mmengine.model import BaseDataPreprocessor
from mmseg.utils import stack_batch
from torch import Tensor

from opencd_gold.registry import MODELS

PerImage = Sequence[Union[Number, Sequence[Number]]]


@MODELS.register_module()
class ChangeDataPreProcessor(BaseDataPreprocessor):
    """Normalise each image of a sample with its own statistics, and stack.

    A sample is ``(sum(channels), H, W)``: from, to[, guide], concatenated.
    At test time the guide may be absent. Where a sample says ``exchanged``,
    its first two images have changed places, and their statistics with them.

    Args:
        channels (Sequence[int]): Bands of from, to and, where the model knows
            one, guide, e.g. ``(3, 1, 3)``. The only place that says them.
        mean (Sequence): One entry an image: a number for all its bands or
            one a band, in the unit of the file (0 to 255 for 8 bit). Default:
            None, which leaves the values as they are.
        std (Sequence): As ``mean``. Default: None.
        bgr_to_rgb (bool): Reverse the bands of three-band images, for
            pipelines that load BGR. Default: False.
        size (tuple[int, int], optional): Pad training batches to this
            ``(H, W)``. Default: None.
        size_divisor (int, optional): Pad training batches to multiples of
            it. Default: None.
        pad_val (float): Fill of padded images, after normalisation.
            Default: 0.
        seg_pad_val (int): Fill of padded labels. Default: 255, ignored.
        test_cfg (dict, optional): ``size`` or ``size_divisor`` for
            prediction; without it test images of one size are stacked as
            they are. Default: None.
        non_blocking (bool): Copy to the device asynchronously. Default:
            False.

    Raises:
        ValueError: If ``mean`` or ``std`` do not fit ``channels``, or a
            sample has another number of bands (its file is named).
    """

    def __init__(self,
                 channels: Sequence[int],
                 mean: Optional[PerImage] = None,
                 std: Optional[PerImage] = None,
                 bgr_to_rgb: bool = False,
                 size: Optional[tuple] = None,
                 size_divisor: Optional[int] = None,
                 pad_val: Number = 0,
                 seg_pad_val: Number = 255,
                 test_cfg: Optional[dict] = None,
                 non_blocking: bool = False):
        super().__init__(non_blocking)
        self.channels = tuple(channels)
        if (mean is None) != (std is None):
            raise ValueError('ChangeDataPreProcessor: give mean and std, or '
                             'neither')
        self.normalise = mean is not None
        if self.normalise:
            for name, values in (('mean', mean), ('std', std)):
                self.register_buffer(
                    name, self._per_band(name, values), persistent=False)
        self.bgr_to_rgb = bgr_to_rgb
        self.size = size
        self.size_divisor = size_divisor
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val
        self.test_cfg = test_cfg

    def _per_band(self, name: str, values: PerImage) -> Tensor:
        """One number a band, ``(sum(channels), 1, 1)``."""
        if len(values) != len(self.channels):
            raise ValueError(
                f'ChangeDataPreProcessor: {name} has {len(values)} entries, '
                f'expected one for each of the {len(self.channels)} images '
                f'of channels={self.channels}')
        flat = []
        for image, (value, bands) in enumerate(zip(values, self.channels)):
            value = [value] * bands if isinstance(value, Number) else value
            if len(value) != bands:
                raise ValueError(
                    f'ChangeDataPreProcessor: {name}[{image}] has '
                    f'{len(value)} values, expected 1 or {bands} as '
                    f'channels={self.channels} says')
            flat += list(value)
        return torch.tensor(flat, dtype=torch.float32).view(-1, 1, 1)

    def _check_bands(self, image: Tensor, sample) -> None:
        allowed = {sum(self.channels), sum(self.channels[:2])}
        if image.shape[0] in allowed:
            return
        paths = getattr(sample, 'img_path', None) or 'a sample'
        raise ValueError(
            f'{paths}: found {image.shape[0]} bands in all, but the data '
            f'preprocessor says channels={self.channels}, expected '
            f'{" or ".join(map(str, sorted(allowed)))}')

    def _swap_colours(self, batch: Tensor) -> Tensor:
        images = batch.split(self._present(batch.shape[-3]), dim=-3)
        return torch.cat(
            [im.flip(-3) if im.shape[-3] == 3 else im for im in images], -3)

    def _present(self, bands: int) -> tuple:
        """Channel counts of the images that are there."""
        full = bands == sum(self.channels)
        return self.channels if full else self.channels[:2]

    def forward(self, data: dict, training: bool = False) -> Dict:
        """Move, normalise, pad and stack a batch.

        Args:
            data (dict): ``inputs``, a list of ``(C, H, W)`` tensors of any
                type (or a batch), and ``data_samples``.
            training (bool): Whether the labels are padded along. Default:
                False.

        Returns:
            dict: ``inputs`` ``(N, C, H, W)`` float32, and ``data_samples``
            with their padding noted.
        """
        data = self.cast_data(data)
        inputs: List[Tensor] = list(data['inputs'])
        samples = data.get('data_samples')
        for index, image in enumerate(inputs):
            self._check_bands(image, samples[index] if samples else None)
        if self.bgr_to_rgb:
            inputs = [self._swap_colours(image) for image in inputs]
        exchanged = [sample.get('exchanged', False) for sample in
                     samples] if samples else [False] * len(inputs)
        inputs = list(map(self._normalised, inputs, exchanged))

        if training or self.test_cfg:
            limits = dict(size=self.size, size_divisor=self.size_divisor)
            if not training:
                limits = dict(size=self.test_cfg.get('size'),
                              size_divisor=self.test_cfg.get('size_divisor'))
            if samples is None or not any(limits.values()):
                inputs = self._stack(inputs, samples)
            else:
                inputs, samples = self._pad(inputs, samples, limits, training)
        else:
            inputs = self._stack(inputs, samples)
        return dict(inputs=inputs, data_samples=samples)

    def _normalised(self, image: Tensor, exchanged: bool) -> Tensor:
        image = image.float()
        if not self.normalise:
            return image
        bands = self._present(image.shape[0])
        mean, std = (values[:sum(bands)].split(bands)
                     for values in (self.mean, self.std))
        if exchanged:
            mean, std = ((x[1], x[0], *x[2:]) for x in (mean, std))
        return (image - torch.cat(tuple(mean))) / torch.cat(tuple(std))

    @staticmethod
    def _stack(inputs: List[Tensor], samples) -> Tensor:
        shapes = {tuple(image.shape) for image in inputs}
        if len(shapes) > 1:
            paths = [getattr(s, 'img_path', '?') for s in samples or []]
            raise ValueError(
                f'the images of a batch differ in shape: {sorted(shapes)} '
                f'of {paths[:4]}. Crop or pad them in the pipeline, or use '
                'batch_size=1')
        for sample in samples or []:
            sample.set_metainfo(
                dict(pad_shape=tuple(inputs[0].shape[-2:]),
                     padding_size=[0, 0, 0, 0]))
        return torch.stack(inputs)

    def _pad(self, inputs, samples, limits, training):
        inputs, padded = stack_batch(
            inputs=inputs,
            data_samples=samples if training else None,
            size=limits['size'],
            size_divisor=limits['size_divisor'],
            pad_val=self.pad_val,
            seg_pad_val=self.seg_pad_val)
        if training:
            return inputs, padded
        for sample, info in zip(samples, padded):
            sample.set_metainfo({**info, 'pad_shape': info['pad_shape'][-2:]})
        return inputs, samples
