"""Detector of change between two dates."""
from contextlib import nullcontext
from typing import List, Optional, Sequence, Tuple

import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.utils import SampleList
from torch import Tensor, nn

from opencd_gold.models.decode_heads import stack_labels
from opencd_gold.models.layers import dates_apart
from opencd_gold.registry import MODELS
from opencd_gold.structures import (
    BranchOutputs,
    ImageTuple,
    class_map,
    split_images,
)

Pyramid = Tuple[Tensor, ...]


@MODELS.register_module()
class BitemporalDetector(EncoderDecoder):
    """Two dates, one or two encoders, one head.

    1. Encode: one encoder for both dates, run as one batch, or one each.
    2. Neck, one an encoder: pyramid to one map.
    3. Interaction between the dates.
    4. Head: two maps to :class:`~opencd_gold.structures.BranchOutputs`.

    Whole and sliding-window inference, padding and post-processing are
    mmseg's. Images after the second date (a guide) are ignored.

    Args:
        backbone (dict): Encoder of the first date, and of the second where
            ``backbone_to`` is absent.
        decode_head (dict): Head.
        backbone_to (dict, optional): Own encoder of the second date. Default:
            None.
        neck (dict, optional): After ``backbone``. Default: None.
        neck_to (dict, optional): After ``backbone_to``. Default: None.
        interaction (dict, optional): Takes and returns both dates' maps.
            Default: None.
        feature_losses (Sequence[dict]): Losses on what the branch computed,
            beside the supervision of the head: ``forward(outputs, target) ->
            dict`` of named scalars. Default: none.
        batch_dates (bool): Run images that share an encoder as one batch;
            otherwise each by its own call, for comparison. Batch norm in
            training then sees each date alone, as that of a shared neck
            always does: it takes the dates one after the other, as the
            authors of every system here have it. Default: True.
        with_images (bool): The images themselves, ``(N, C, H, W)``, go
            before the stages of their encoder, for necks and heads that look
            at them. Default: False.
        channels_last (bool): Keep images and weights in the channels-last
            memory format, which convolutions on CPUs and on GPUs with tensor
            cores prefer. Default: False.
        compile_cfg (dict, optional): Arguments of ``torch.compile`` for the
            encoders. Default: None, no compilation.
        train_cfg (dict, optional): Default: None.
        test_cfg (dict, optional): ``mode`` (``'whole'`` or ``'slide'``, the
            latter with ``crop_size`` and ``stride``); ``precision``
            (``'float32'`` or ``'bfloat16'``) of inference. Default: whole,
            float32.
        data_preprocessor (dict): Knows ``channels``, see
            :class:`~opencd_gold.models.ChangeDataPreProcessor`.
        init_cfg (dict, optional): Default: None.

    Raises:
        ValueError: If the data preprocessor knows fewer than two images, if
            ``neck`` and ``neck_to`` do not go with the encoders, or if
            ``precision`` is another word.
    """

    def __init__(self,
                 backbone: dict,
                 decode_head: dict,
                 data_preprocessor: dict,
                 backbone_to: Optional[dict] = None,
                 neck: Optional[dict] = None,
                 neck_to: Optional[dict] = None,
                 interaction: Optional[dict] = None,
                 feature_losses: Sequence[dict] = (),
                 batch_dates: bool = True,
                 with_images: bool = False,
                 channels_last: bool = False,
                 compile_cfg: Optional[dict] = None,
                 train_cfg: Optional[dict] = None,
                 test_cfg: Optional[dict] = None,
                 init_cfg=None):
        BaseSegmentor.__init__(self, _build(data_preprocessor), init_cfg)
        self.channels = self._read_channels()
        if (neck_to is None) != (neck is None or backbone_to is None):
            raise ValueError(
                f'{type(self).__name__}: neck_to goes with neck and '
                'backbone_to: each encoder has its neck, or none has')
        self.backbone = MODELS.build(backbone)
        self.backbone_to = _build(backbone_to)
        if neck is not None:
            self.neck = MODELS.build(neck)
        self.neck_to = _build(neck_to)
        self.interaction = _build(interaction)
        self._init_decode_head(_build(decode_head))
        self.feature_losses = nn.ModuleList(map(_build, feature_losses))
        self.train_cfg = train_cfg
        self.test_cfg = {'mode': 'whole', **(test_cfg or {})}
        self.test_cfg = ConfigDict(self.test_cfg)
        if self.test_cfg.get('precision', 'float32') not in ('float32',
                                                             'bfloat16'):
            raise ValueError(
                "test_cfg.precision must be 'float32' or 'bfloat16', got "
                f'{self.test_cfg.precision!r}')
        self.compile_cfg = compile_cfg
        self.batch_dates = batch_dates
        self.with_images = with_images
        self.channels_last = channels_last
        if channels_last:
            to_channels_last(self)
        if compile_cfg is not None:
            for encoder in (self.backbone, self.backbone_to):
                if encoder is not None:
                    encoder.compile(**compile_cfg)

    def _init_decode_head(self, decode_head) -> None:
        self.decode_head = decode_head
        self.align_corners = decode_head.align_corners
        self.num_classes = decode_head.num_classes
        self.out_channels = decode_head.out_channels

    def _read_channels(self) -> Tuple[int, ...]:
        channels = getattr(self.data_preprocessor, 'channels', ())
        if len(channels) < 2:
            raise ValueError(
                f'{type(self).__name__}: the data preprocessor must say the '
                'bands of each image, e.g. channels=(3, 1), got '
                f'{tuple(channels)}')
        return tuple(channels)

    def split(self, inputs: Tensor) -> ImageTuple:
        """The images of a batch apart, in the memory format of the model.

        Args:
            inputs (Tensor): ``(N, sum(channels), H, W)``, or the first two
                images alone.

        Returns:
            ImageTuple: See :func:`~opencd_gold.structures.split_images`.
        """
        images = split_images(inputs, self.channels)
        layout = (torch.channels_last
                  if self.channels_last else torch.contiguous_format)
        return ImageTuple(*(image.contiguous(memory_format=layout)
                            for image in images if image is not None))

    def encode_pair(self, img_from: Tensor,
                    img_to: Tensor) -> Tuple[Pyramid, Pyramid]:
        """Stages of both dates.

        Args:
            img_from (Tensor): ``(N, C_from, H, W)``.
            img_to (Tensor): ``(N, C_to, H, W)``.

        Returns:
            tuple: Two tuples of ``(N, C_i, h_i, w_i)``, finest first.
        """
        if self.backbone_to is not None:
            return (tuple(self.backbone(img_from)),
                    tuple(self.backbone_to(img_to)))
        return self.encode_shared((img_from, img_to))

    def encode_shared(self, images: Sequence[Tensor]) -> Tuple[Pyramid, ...]:
        """Stages of several images that share ``backbone``.

        Args:
            images (Sequence[Tensor]): ``(N, C, H, W)`` each.

        Returns:
            tuple: For each image, its tuple of ``(N, C_i, h_i, w_i)``, finest
            first.
        """
        if not self.batch_dates:
            return tuple(tuple(self.backbone(image)) for image in images)
        stages = self.backbone(torch.cat(tuple(images)))
        parts = [dates_apart(stage, len(images)) for stage in stages]
        return tuple(zip(*parts))

    def fuse_pair(self, pyramid_from: Pyramid, pyramid_to: Pyramid) -> tuple:
        """Pyramids to what the head compares, before the interaction."""
        if not self.with_neck:
            return pyramid_from, pyramid_to
        if self.neck_to is not None:
            return self.neck(pyramid_from), self.neck_to(pyramid_to)
        return self.neck(pyramid_from), self.neck(pyramid_to)

    def compare(self, pyramid_from: Pyramid,
                pyramid_to: Pyramid) -> BranchOutputs:
        """From the stages of two dates to the outputs of the head."""
        feat_from, feat_to = self.fuse_pair(pyramid_from, pyramid_to)
        return self.decide(feat_from, feat_to, pyramid_from, pyramid_to)

    def decide(self, feat_from, feat_to, pyramid_from,
               pyramid_to) -> BranchOutputs:
        """Interaction and head; the outputs show the features before both.

        A head without a neck gets whole pyramids and says itself which maps
        the outputs show.
        """
        pair = (feat_from, feat_to)
        if self.interaction is not None:
            pair = self.interaction(*pair)
        return self.show_features(
            self.decode_head(*pair), feat_from, feat_to, pyramid_from,
            pyramid_to)

    def show_features(self, outputs: BranchOutputs, feat_from, feat_to,
                      pyramid_from: Pyramid,
                      pyramid_to: Pyramid) -> BranchOutputs:
        """Note in ``outputs`` what the head was given.

        Args:
            outputs (BranchOutputs): Of a head.
            feat_from (Tensor | Sequence[Tensor]): What the head got of the
                first date, ``(N, C, h, w)``, before the interaction; of
                several maps the head says itself which it shows.
            feat_to (Tensor | Sequence[Tensor]): The same of the other date.
            pyramid_from (tuple[Tensor]): Stages ``(N, C_i, h_i, w_i)``, after
                the image where ``with_images`` says so; it is left out.
            pyramid_to (tuple[Tensor]): The same of the other date.

        Returns:
            BranchOutputs: The same ones.
        """
        if isinstance(feat_from, Tensor):
            outputs.feat_from, outputs.feat_to = feat_from, feat_to
        first = int(self.with_images)
        outputs.pyramid_from = pyramid_from[first:]
        outputs.pyramid_to = pyramid_to[first:]
        return outputs

    def put_images(self, images: Sequence[Tensor],
                   pyramids: Sequence[Pyramid]) -> Tuple[Pyramid, ...]:
        """Each image before its stages, if ``with_images`` says so.

        Args:
            images (Sequence[Tensor]): ``(N, C, H, W)`` each.
            pyramids (Sequence[tuple[Tensor]]): Stages of each,
                ``(N, C_i, h_i, w_i)``.

        Returns:
            tuple: As many as ``pyramids``.
        """
        if not self.with_images:
            return tuple(pyramids)
        return tuple((image, *pyramid)
                     for image, pyramid in zip(images, pyramids))

    def extract_feat(self, inputs: Tensor) -> Tuple[Pyramid, Pyramid]:
        """Stages of both dates of ``inputs`` (N, C, H, W).

        Each after its image, where ``with_images`` says so.
        """
        pair = self.split(inputs)[:2]
        return self.put_images(pair, self.encode_pair(*pair))

    def forward_branch(self, inputs: Tensor) -> BranchOutputs:
        """All that prediction computes for ``inputs`` (N, C, H, W)."""
        return self.compare(*self.extract_feat(inputs))

    def _forward(self, inputs: Tensor, data_samples=None) -> Tensor:
        """Logits ``(N, K, h, w)`` at the resolution of the head, float32."""
        with self.precision():
            return self.forward_branch(inputs).logits.float()

    def precision(self):
        """Context of inference in ``test_cfg.precision``."""
        if self.test_cfg.get('precision', 'float32') == 'float32':
            return nullcontext()
        device = next(self.parameters()).device.type
        return torch.autocast(device, dtype=torch.bfloat16)

    def encode_decode(self, inputs: Tensor,
                      batch_img_metas: List[dict]) -> Tensor:
        """Logits ``(N, K, H, W)`` at the size of ``inputs``, float32."""
        return self.decode_head.predict_by_feat(
            self._forward(inputs), batch_img_metas)

    def postprocess_result(self,
                           seg_logits: Tensor,
                           data_samples: Optional[SampleList] = None) -> list:
        """mmseg's, with the head's threshold for two classes as well."""
        samples = super().postprocess_result(seg_logits, data_samples)
        threshold = self.decode_head.threshold
        if seg_logits.shape[1] > 1 and threshold is not None:
            for sample in samples:
                found = class_map(sample.seg_logits.data, threshold)
                sample.set_data(dict(pred_sem_seg=PixelData(data=found)))
        return samples

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict:
        """Losses of a training batch.

        Args:
            inputs (Tensor): ``(N, C, H, W)``.
            data_samples (list[SegDataSample]): With ``gt_sem_seg``.

        Returns:
            dict[str, Tensor]: Scalars; those with ``loss`` in the name are
            summed and minimised.

        Raises:
            ValueError: If two losses give terms of one name.
        """
        outputs = self.forward_branch(inputs)
        target = stack_labels(data_samples)
        with full_precision(inputs):
            losses = self.decode_head.loss_by_outputs(outputs, target)
            for loss in self.feature_losses:
                terms = loss(outputs, target)
                doubled = losses.keys() & terms.keys()
                if doubled:
                    raise ValueError(
                        f'feature_losses: {type(loss).__name__} gives '
                        f'{", ".join(sorted(doubled))}, which another loss '
                        'gives too; give it a name= of its own')
                losses.update(terms)
        return losses


def _build(cfg):
    """A module of ``cfg``; None stays None, a module stays itself."""
    return MODELS.build(cfg) if isinstance(cfg, dict) else cfg


def to_channels_last(module: nn.Module) -> None:
    """Kernels of 2D convolutions in channels-last; others stay as they are.

    ``Module.to`` refuses modules that hold a 3D convolution.
    """
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(
                memory_format=torch.channels_last)


def full_precision(like: Tensor):
    """Context without autocast on the device of ``like``, for losses."""
    return torch.autocast(like.device.type, enabled=False)
