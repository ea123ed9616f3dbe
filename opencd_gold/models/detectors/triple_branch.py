"""GOLD: an optical pair teaches the optical-SAR pair while both train.

Three images in training: optical before (from), SAR after (to), optical after
(guide). The student compares from with to; the teacher compares from with the
guide, and by option sees SAR as well. Both are supervised by the label, and
named distillation terms pull the student to the teacher. Prediction uses from
and to alone.
"""
from contextlib import contextmanager
from dataclasses import replace
from typing import Dict, List, Sequence, Tuple

import torch
from mmengine.structures import PixelData
from mmseg.utils import SampleList
from torch import Tensor, nn

from opencd_gold.engine.progress import current_epoch
from opencd_gold.models.decode_heads import stack_labels
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

from .bitemporal import (
    BitemporalDetector,
    _build,
    full_precision,
    to_channels_last,
)


@MODELS.register_module()
class TripleBranchDetector(BitemporalDetector):
    """Student and teacher trained together, online.

    One encoder serves the first date and the guide, run as one batch.

    Args:
        teacher_head (dict): Head of the teacher; its ``num_inputs`` is 2 for
            ``'from+guide'`` and 3 for ``'from+to+guide'``.
        distill_losses (Sequence[dict]): Each yields named terms, see
            :class:`~opencd_gold.models.losses.DistillLoss`.
        loss_weighting (dict): Folds the terms ``student``, ``teacher`` and
            those of ``distill_losses`` into the total.
        teacher_inputs (str): ``'from+guide'``, as published, or
            ``'from+to+guide'``, a privileged teacher that sees everything.
            Default: ``'from+guide'``.
        detach_from (bool): The teacher's loss does not reach the encoding of
            the first date, as published. Default: True.
        detach_to (bool): Nor that of the second date, where the teacher sees
            it. Default: False.
        teacher_interaction (bool): First date and guide go through the
            student's interaction before the teacher's head, as published;
            its weights then serve two kinds of pairs. Default: True.
        iters_per_epoch (int, optional): What an epoch is for schedules in an
            iteration-based run. Default: None, the length of the data set
            over the batch.
        copy_classifier (bool): The teacher's classifier starts as a copy of
            the student's, as published. Default: True.
        kwargs: See :class:`BitemporalDetector`. ``backbone_to`` is needed.
            ``test_cfg.evaluate_teacher=True`` adds the teacher's prediction
            to samples that bring their guide.

    Raises:
        ValueError: If the data preprocessor does not know three images, an
            encoder is missing, ``teacher_inputs`` is another word, a term of
            a loss has no weight, or ``feature_losses`` are given.
    """

    teacher_views = {
        'from+guide': ('from', 'guide'),
        'from+to+guide': ('from', 'guide', 'to')
    }
    training_only = ('teacher_head', 'distill_losses', 'loss_weighting')

    def __init__(self,
                 teacher_head: dict,
                 distill_losses: Sequence[dict],
                 loss_weighting: dict,
                 teacher_inputs: str = 'from+guide',
                 detach_from: bool = True,
                 detach_to: bool = False,
                 teacher_interaction: bool = True,
                 iters_per_epoch: int = None,
                 copy_classifier: bool = True,
                 channels_last: bool = False,
                 **kwargs):
        super().__init__(channels_last=channels_last, **kwargs)
        if len(self.channels) != 3 or self.channels[0] != self.channels[2]:
            raise ValueError(
                'TripleBranchDetector: one encoder reads the first date and '
                'the guide, so the data preprocessor needs channels=(n, m, '
                f'n), got {self.channels}')
        if self.backbone_to is None:
            raise ValueError('TripleBranchDetector needs backbone_to, the '
                             'encoder of the second date')
        if teacher_inputs not in self.teacher_views:
            raise ValueError(
                'TripleBranchDetector: teacher_inputs must be one of '
                f'{tuple(self.teacher_views)}, got {teacher_inputs!r}')
        if len(self.feature_losses):
            raise ValueError('TripleBranchDetector: feature_losses are for a '
                             'branch alone, use distill_losses')
        self.teacher_inputs = teacher_inputs
        self.detach_from = detach_from
        self.detach_to = detach_to
        self.teacher_interaction = teacher_interaction
        self.iters_per_epoch = iters_per_epoch
        self.copy_classifier = copy_classifier
        self._with_teacher = False
        self.teacher_head = _build(teacher_head)
        self.distill_losses = nn.ModuleList(map(_build, distill_losses))
        self.loss_weighting = _build(loss_weighting)
        self._check_terms()
        if channels_last:
            to_channels_last(self)
        self._copy_classifier()

    def _check_terms(self) -> None:
        made = ['student', 'teacher']
        for loss in self.distill_losses:
            made += loss.terms
        doubled = {name for name in made if made.count(name) > 1}
        unweighted = set(made) - set(self.loss_weighting.terms)
        unmade = set(self.loss_weighting.terms) - set(made)
        if doubled or unweighted or unmade:
            raise ValueError(
                'TripleBranchDetector: loss_weighting and the losses differ. '
                f'Terms without a weight: {sorted(unweighted)}; weights '
                f'without a term: {sorted(unmade)}; terms made twice: '
                f'{sorted(doubled)}')

    def _copy_classifier(self) -> None:
        if not self.copy_classifier:
            return
        for name in ('cls', 'conv_seg'):
            source = getattr(self.decode_head, name, None)
            target = getattr(self.teacher_head, name, None)
            if source is None or target is None:
                continue
            state = source.state_dict()
            shapes = [tuple(v.shape) for v in target.state_dict().values()]
            if shapes == [tuple(v.shape) for v in state.values()]:
                target.load_state_dict(state)

    def init_weights(self) -> None:
        """Initialise all parts, then copy the classifier."""
        super().init_weights()
        self._copy_classifier()

    def teach(self, feat_from: Tensor, feat_to: Tensor, feat_guide: Tensor,
              pyramid_from, pyramid_guide) -> BranchOutputs:
        """What the teacher computes.

        Args:
            feat_from (Tensor): First date after the neck, ``(N, C, h, w)``.
            feat_to (Tensor): Second date; seen by a privileged teacher.
            feat_guide (Tensor): Guide.
            pyramid_from (tuple[Tensor]): Stages of the first date.
            pyramid_guide (tuple[Tensor]): Stages of the guide.

        Returns:
            BranchOutputs: ``feat_to`` is the guide.
        """
        first = detached(feat_from) if self.detach_from else feat_from
        pair = (first, feat_guide)
        if self.interaction is not None and self.teacher_interaction:
            pair = self.interaction(*pair)
        views = dict(zip(('from', 'guide'), pair))
        views['to'] = detached(feat_to) if self.detach_to else feat_to
        outputs = self.teacher_head(
            *(views[name] for name in self.teacher_views[self.teacher_inputs]))
        return self.show_features(outputs, feat_from, feat_guide,
                                  pyramid_from, pyramid_guide)

    def forward_branches(
            self, inputs: Tensor) -> Tuple[BranchOutputs, BranchOutputs]:
        """Student and teacher of one batch.

        Args:
            inputs (Tensor): ``(N, sum(channels), H, W)``, guide included.

        Returns:
            tuple[BranchOutputs, BranchOutputs]: Student, teacher.

        Raises:
            ValueError: Without the guide.
        """
        images = self.split(inputs)
        if images.img_guide is None:
            raise ValueError(
                'the teacher needs the guide image: inputs have '
                f'{inputs.shape[1]} channels, expected {sum(self.channels)} '
                f'of channels={self.channels}. Set data_prefix.'
                'img_path_guide in the data set')
        pyramid_from, pyramid_guide = self.encode_shared(
            (images.img_from, images.img_guide))
        pyramid_to = tuple(self.backbone_to(images.img_to))
        pyramid_from, pyramid_to, pyramid_guide = self.put_images(
            images, (pyramid_from, pyramid_to, pyramid_guide))
        feat_from, feat_to = self.fuse_pair(pyramid_from, pyramid_to)
        feat_guide = (
            self.neck(pyramid_guide) if self.with_neck else pyramid_guide)
        student = self.decide(feat_from, feat_to, pyramid_from, pyramid_to)
        teacher = self.teach(feat_from, feat_to, feat_guide, pyramid_from,
                             pyramid_guide)
        return student, teacher

    def loss(self, inputs: Tensor,
             data_samples: SampleList) -> Dict[str, Tensor]:
        """Weighted losses, every raw term and every weight.

        Args:
            inputs (Tensor): ``(N, sum(channels), H, W)``.
            data_samples (list[SegDataSample]): With ``gt_sem_seg``.

        Returns:
            dict[str, Tensor]: ``loss_<group>`` sum to the total;
            ``term/...`` and ``weight/...`` are for the log.
        """
        student, teacher = self.forward_branches(inputs)
        target = stack_labels(data_samples)
        with full_precision(inputs):
            terms = self.loss_terms(student, teacher, target)
            losses, logs = self.loss_weighting(
                terms, current_epoch(self.iters_per_epoch))
        return {**losses, **logs}

    def loss_terms(self, student: BranchOutputs, teacher: BranchOutputs,
                   target: Tensor) -> Dict[str, Tensor]:
        """Raw terms by name, before any weight.

        Args:
            student (BranchOutputs): Of :meth:`forward_branches`.
            teacher (BranchOutputs): Likewise.
            target (Tensor): ``(N, H, W)``, int64.

        Returns:
            dict[str, Tensor]: Scalars ``student``, ``teacher`` (all that the
            heads supervise) and those of each distillation loss.
        """
        heads = dict(
            student=(self.decode_head, student),
            teacher=(self.teacher_head, teacher))
        terms, branches = {}, []
        for name, (head, outputs) in heads.items():
            terms[name] = sum(head.loss_by_outputs(outputs, target).values())
            outputs = _in_float(outputs)
            outputs.logits = head.upsample(outputs.logits, target.shape[-2:])
            branches.append(outputs)
        for loss in self.distill_losses:
            terms.update(loss(*branches, target))
        return terms

    def predict(self, inputs: Tensor, data_samples=None) -> List:
        """The student's prediction; the teacher's beside it if asked.

        With ``test_cfg.evaluate_teacher`` and a guide in ``inputs``, samples
        also get ``teacher_seg_logits`` and ``teacher_pred_sem_seg``, by the
        channels and the threshold of ``teacher_head``.
        """
        guided = inputs.shape[1] == sum(self.channels)
        if not (guided and self.test_cfg.get('evaluate_teacher', False)
                and data_samples is not None):
            return super().predict(inputs, data_samples)
        metas = [sample.metainfo for sample in data_samples]
        heads = (self.decode_head, self.teacher_head)
        with self._both_branches():
            logits = self.inference(inputs, metas)
        student, teacher = logits.split([h.out_channels for h in heads], 1)
        with self._deciding(self.teacher_head):
            taught = self.postprocess_result(teacher, data_samples)
        for sample in taught:
            for field in ('seg_logits', 'pred_sem_seg'):
                sample.set_data({
                    f'teacher_{field}':
                    PixelData(data=getattr(sample, field).data)
                })
        return self.postprocess_result(student, data_samples)

    @contextmanager
    def _deciding(self, head):
        """Let scores become maps as ``head`` says."""
        own = self.decode_head
        self._init_decode_head(head)
        try:
            yield
        finally:
            self._init_decode_head(own)

    @contextmanager
    def _both_branches(self):
        """Let inference stack the teacher's logits on the student's."""
        own = self.out_channels
        self.out_channels = own + self.teacher_head.out_channels
        self._with_teacher = True
        try:
            yield
        finally:
            self.out_channels = own
            self._with_teacher = False

    def encode_decode(self, inputs: Tensor,
                      batch_img_metas: List[dict]) -> Tensor:
        """The student's logits; see :class:`BitemporalDetector`."""
        if not self._with_teacher:
            return super().encode_decode(inputs, batch_img_metas)
        with self.precision():
            outputs = self.forward_branches(inputs)
        heads = (self.decode_head, self.teacher_head)
        return torch.cat([
            head.predict_by_feat(branch.logits, batch_img_metas)
            for head, branch in zip(heads, outputs)
        ], 1)


def detached(feat):
    """A map or a pyramid of maps without gradient."""
    if isinstance(feat, Tensor):
        return feat.detach()
    return tuple(stage.detach() for stage in feat)


def _in_float(outputs: BranchOutputs) -> BranchOutputs:
    """The same outputs in float32."""
    return replace(
        outputs,
        feat_from=outputs.feat_from.float(),
        feat_to=outputs.feat_to.float(),
        fused=outputs.fused.float(),
        logits=outputs.logits.float(),
        pyramid_from=tuple(x.float() for x in outputs.pyramid_from),
        pyramid_to=tuple(x.float() for x in outputs.pyramid_to))
