"""MTKD: teachers by change area ratio teach one student.

https://arxiv.org/abs/2502.13407. Each teacher was trained on a range of change
area ratios (CAR). In training, the label of a sample picks its teacher, whose
raw logits the student's are pulled to; prediction is the student's alone.

Departures from the authors' code, which their figures come from:

- their distillation term is logged under a name that mmengine does not sum,
  so it trains nothing; here it counts (``count_distill=False`` for theirs);
- their teachers run in training mode in part of the systems
  (``teachers_in_training_mode=True``), and stand in checkpoint and optimizer;
- their routing counts ignored pixels as changed
  (``ChangeAreaRouter(count_ignored=True)``);
- they run the student's head twice and a teacher once for each sample
  (``plain=True``).
"""
from contextlib import contextmanager
from typing import Dict, List, Optional, Sequence

import torch
from mmseg.utils import SampleList
from torch import Tensor, nn

from opencd_gold.models.decode_heads import stack_labels
from opencd_gold.models.layers import resize_map
from opencd_gold.registry import MODELS, TASK_UTILS
from opencd_gold.structures import BranchOutputs

from .bitemporal import _build, full_precision
from .members import FrontedModel, Member, check_alike, load_member
from .routing import check_count

_TEACHERS = 'teachers.'


class _Aside(dict):
    """Modules that are no part of the module that holds them.

    Not in its parameters, state or distributed buckets; a copy of the holder
    (a moving average of weights, say) shares them.
    """

    def __deepcopy__(self, memo):
        return self


@contextmanager
def watch_calls(module: nn.Module):
    """Note what a module is called with and gives, inside of the block.

    Sees ``module(...)`` and ``module.forward(...)`` alike; mmsegmentation's
    heads are called the second way in training.

    Args:
        module (nn.Module): To watch.

    Yields:
        list[tuple]: Grows by arguments and result of each call.
    """
    calls, forward = [], module.forward

    def watched(*args, **kwargs):
        result = forward(*args, **kwargs)
        calls.append((args, result))
        return result

    module.forward = watched
    try:
        yield calls
    finally:
        del module.forward


@MODELS.register_module()
class MultiTeacherDetector(FrontedModel):
    """A student and its teachers, one for each partition of the router.

    The student is any detector with a ``decode_head``, of this package, of
    mmsegmentation or of Open-CD; so is each teacher. Teachers are frozen, in
    evaluation mode, run once a step on the samples that are routed to them,
    and are neither in checkpoints nor in optimizers and distributed buckets:
    the state dict is that of the student. Attributes that are not the
    detector's own (``decode_head``, ``test_cfg`` and so on) are the
    student's.

    Args:
        student (dict): Model config of the student.
        teachers (dict[str, dict]): By name, in the order of the router's
            partitions (small CAR first): ``checkpoint``, and ``model`` (a
            model config) or ``config`` (path of a config) where it is of
            another architecture than the student.
        distill_losses (Sequence[dict]): On the raw logits of student and
            teacher at the resolution of the student's head, see
            :class:`~opencd_gold.models.losses.DistillLoss`. One with
            ``loss_weight`` 0 is skipped, and without any the teachers too.
        router (dict): Default: None,
            :class:`~opencd_gold.models.detectors.routing.ChangeAreaRouter`.
        student_checkpoint (str, optional): What the student starts from in
            training. Default: None, its own initialisation.
        count_distill (bool): Sum distillation into the total, as
            ``loss_distill_<term>``; otherwise it is only logged, as
            ``distill_<term>``. Default: True.
        teachers_in_training_mode (bool): For comparison. Default: False.
        plain (bool): Compute the student's logits twice and ask a teacher
            for one sample at a time; for comparison. Default: False.
        init_cfg (dict, optional): Default: None.

    Raises:
        ValueError: If the teachers are not as many as the partitions, their
            entries have unknown keys, one of them takes other images or
            gives other classes than the student, or a distillation loss has
            weights of its own, which no checkpoint would hold.
    """

    front = 'student'
    training_only = ('distill_losses', )

    def __init__(self,
                 student: dict,
                 teachers: Dict[str, dict],
                 distill_losses: Sequence[dict],
                 router: Optional[dict] = None,
                 student_checkpoint: Optional[str] = None,
                 count_distill: bool = True,
                 teachers_in_training_mode: bool = False,
                 plain: bool = False,
                 init_cfg=None):
        own = Member('model.student', dict(model=student)).module if (
            student_checkpoint) else MODELS.build(student)
        super().__init__(own.data_preprocessor, init_cfg)
        self.student = own
        self.student_checkpoint = student_checkpoint
        self.router = TASK_UTILS.build(router or dict(type='ChangeAreaRouter'))
        check_count(self.router, list(teachers), 'model.teachers')
        self._members = _Aside({
            name: Member(f'model.teachers.{name}', spec, default=student)
            for name, spec in teachers.items()
        })
        self.distill_losses = nn.ModuleList(map(_build, distill_losses))
        if self.distill_losses.state_dict():
            raise ValueError(
                'MultiTeacherDetector: distill_losses must have no weights, '
                f'found {list(self.distill_losses.state_dict())[:3]}')
        self.count_distill = count_distill
        self.teachers_in_training_mode = teachers_in_training_mode
        self.plain = plain
        for name, teacher in self.teachers.items():
            check_alike(f'model.teachers.{name}', teacher, 'student', own)
            teacher.requires_grad_(False)
        self._set_teachers_mode()

    @property
    def teachers(self) -> Dict[str, nn.Module]:
        """The teachers by name; no submodules of this one."""
        return {name: each.module for name, each in self._members.items()}

    def _apply(self, fn, recurse: bool = True):
        """Let the teachers follow to another device or type."""
        for teacher in self.teachers.values():
            teacher._apply(fn)
        return super()._apply(fn, recurse)

    def train(self, mode: bool = True):
        """Set the mode of the student."""
        super().train(mode)
        self._set_teachers_mode()
        return self

    def _set_teachers_mode(self) -> None:
        for teacher in self.teachers.values():
            teacher.train(self.teachers_in_training_mode and self.training)

    def init_weights(self) -> None:
        """Load the teachers that are needed; the student or its start.

        Raises:
            ValueError: If a teacher has no checkpoint, or one does not fit.
        """
        if self._active_losses():
            for member in self._members.values():
                member.load()
        if self.student_checkpoint:
            load_member(self.student, 'model.student_checkpoint',
                        self.student_checkpoint)
        else:
            self.student.init_weights()

    def state_dict(self, *args, **kwargs):
        """State of the student, by its own names."""
        return self.student.state_dict(*args, **kwargs)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata,
                              strict, missing_keys, unexpected_keys,
                              error_msgs):
        """Take the student's names; route ``teachers.<name>.`` to them.

        A converted checkpoint of the authors brings its teachers.
        """
        for key in [key for key in state_dict if key.startswith(prefix)]:
            name = key[len(prefix):]
            if not name.startswith(('student.', _TEACHERS)):
                state_dict[f'{prefix}student.{name}'] = state_dict.pop(key)
        for name, teacher in self.teachers.items():
            start = f'{prefix}{_TEACHERS}{name}.'
            own = {
                key[len(start):]: state_dict.pop(key)
                for key in list(state_dict) if key.startswith(start)
            }
            if own:
                found = teacher.load_state_dict(own, strict=False)
                missing_keys += [start + key for key in found.missing_keys]
                unexpected_keys += [
                    start + key for key in found.unexpected_keys
                ]
        super()._load_from_state_dict(state_dict, prefix, local_metadata,
                                      strict, missing_keys, unexpected_keys,
                                      error_msgs)

    def forward(self, inputs: Tensor, data_samples=None,
                mode: str = 'tensor'):
        """The student's, and in training the distillation beside it.

        Args:
            inputs (Tensor): ``(N, sum(channels), H, W)``.
            data_samples (list[SegDataSample], optional): Default: None.
            mode (str): ``'loss'``, ``'predict'`` or ``'tensor'``.

        Returns:
            What the student gives.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        return self.student(inputs, data_samples, mode)

    def loss(self, inputs: Tensor,
             data_samples: SampleList) -> Dict[str, Tensor]:
        """Losses of the student, and of its distance to the teachers.

        Args:
            inputs (Tensor): ``(N, sum(channels), H, W)``.
            data_samples (list[SegDataSample]): With ``gt_sem_seg``.

        Returns:
            dict[str, Tensor]: Those of the student, and
            ``loss_distill_<term>`` of each distillation loss.
        """
        active = self._active_losses()
        if not active:
            return self.student.loss(inputs, data_samples)
        with watch_calls(self.student.decode_head) as calls:
            losses = dict(self.student.loss(inputs, data_samples))
        arguments, outputs = calls[0]
        if self.plain:
            outputs = self._once_more(inputs, arguments, outputs)
        student = _logits_of(outputs)
        target = stack_labels(data_samples)
        teacher = self.ask_teachers(inputs, target, student.shape[-2:])
        prefix = 'loss_distill_' if self.count_distill else 'distill_'
        with full_precision(inputs):
            pair = [
                BranchOutputs(None, None, None, logits.float())
                for logits in (student, teacher)
            ]
            # Heads that look both ways stack their two outputs.
            target = target.repeat(len(student) // len(target), 1, 1)
            for loss in active:
                for name, value in loss(*pair, target).items():
                    losses[f'{prefix}{name}'] = value
        return losses

    def _active_losses(self) -> List[nn.Module]:
        """Distillation losses that count."""
        return [
            loss for loss in self.distill_losses
            if getattr(loss, 'loss_weight', 1) != 0
        ]

    def _once_more(self, inputs: Tensor, arguments: tuple, outputs):
        """The student's head again, and all that follows its encoder."""
        if getattr(outputs, 'pyramid_from', ()):
            return self.student.compare(*self.student.put_images(
                self.student.split(inputs),
                (outputs.pyramid_from, outputs.pyramid_to)))
        return self.student.decode_head(*arguments)

    @torch.no_grad()
    def ask_teachers(self, inputs: Tensor, target: Tensor,
                     size: Sequence[int]) -> Tensor:
        """Logits of each sample's teacher.

        Args:
            inputs (Tensor): ``(N, C, H, W)``.
            target (Tensor): Labels ``(N, H, W)``.
            size (Sequence[int]): Height and width of the result; teachers of
                another resolution are resized.

        Returns:
            Tensor: ``(N, K, *size)``; ``(2N, K, *size)`` of heads that look
            both ways, the first way first.
        """
        teachers = list(self.teachers.values())
        if self.plain:
            groups = [(int(self.router(target[i:i + 1])[0]), [i])
                      for i in range(len(inputs))]
        else:
            chosen = self.router(target)
            groups = [(index, (chosen == index).nonzero()[0].tolist())
                      for index in sorted(set(chosen.tolist()))]
        parts, order = [], []
        for index, samples in groups:
            images = (inputs if len(samples) == len(inputs) else
                      inputs[samples])
            logits = _logits_of(_run(teachers[index], images))
            logits = resize_map(logits, size)
            parts.append(logits.unflatten(0, (-1, len(samples))))
            order += samples
        places = torch.tensor(order, device=inputs.device).argsort()
        return torch.cat(parts, 1)[:, places].flatten(0, 1)


def _run(teacher: nn.Module, inputs: Tensor):
    """What a detector's head gives."""
    if hasattr(teacher, 'forward_branch'):
        return teacher.forward_branch(inputs)
    return teacher(inputs, mode='tensor')


def _logits_of(outputs) -> Tensor:
    """Logits of a head's result; several are stacked along the batch."""
    if isinstance(outputs, BranchOutputs):
        outputs = outputs.logits
    if isinstance(outputs, (list, tuple)):
        outputs = torch.cat(tuple(outputs))
    return outputs
