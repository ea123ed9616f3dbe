"""What a training step and a prediction cost, of one config or of two.

1. Random images and labels of the bands that the data preprocessor names.
2. A training step is the whole of it: normalisation, forward pass, losses,
   backward pass, optimizer. A prediction goes from images to class maps.
3. Candidates take turns, so that a machine that slows down slows down all.
4. Peak memory is measured in a fresh process for each.
5. A part of a model can be measured alone, on what reaches it of such images.
"""
import gc
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from opencd_gold.registry import MODELS

from .fusion import prepare_for_inference

MODES = ('train', 'infer')
_MIXED = {'float32': 'OptimWrapper', 'bfloat16': 'Bf16OptimWrapper'}
_STATUS = Path('/proc/self/status')


@dataclass
class Candidate:
    """A model to measure.

    Attributes:
        name (str): In tables.
        cfg (Config): With ``model`` and, to measure training,
            ``optim_wrapper``.
        precision (str, optional): ``'float32'`` or ``'bfloat16'`` instead of
            what the config says, in training and prediction. Default: None.
        fuse (bool): Predict with
            :func:`~opencd_gold.apis.prepare_for_inference`. Default: False.
        part (str, optional): Name of a submodule, to measure alone: its
            forward pass, and in training its backward pass. Default: None,
            the whole model.

    Raises:
        ValueError: For another precision, or a part that is to be fused.
    """

    name: str
    cfg: Config
    precision: Optional[str] = None
    fuse: bool = False
    part: Optional[str] = None

    def __post_init__(self):
        if self.part is not None and self.fuse:
            raise ValueError(f'{self.name}: a part alone is not fused')
        if self.precision not in (None, *_MIXED):
            raise ValueError(f'precision must be one of {tuple(_MIXED)}, got '
                             f'{self.precision!r}')
        if self.precision is None:
            return
        self.cfg = deepcopy(self.cfg)
        options = {'model.test_cfg.precision': self.precision}
        if 'optim_wrapper' in self.cfg:
            options['optim_wrapper.type'] = _MIXED[self.precision]
            for key in ('dtype', 'loss_scale', 'use_fp64'):
                self.cfg.optim_wrapper.pop(key, None)
        self.cfg.merge_from_dict(options)


@dataclass
class Workload:
    """What is measured.

    Attributes:
        mode (str): ``'train'`` or ``'infer'``.
        batch (int): Samples.
        size (tuple[int, int]): Height and width in pixels.
        device (str): Default: ``'cpu'``.
        threads (int, optional): Of torch. Default: None, as many as cores.
        seed (int): Of data and weights. Default: 0.

    Raises:
        ValueError: For another mode, or a size that is not positive.
    """

    mode: str
    batch: int
    size: Tuple[int, int]
    device: str = 'cpu'
    threads: Optional[int] = None
    seed: int = 0

    def __post_init__(self):
        if self.mode not in MODES:
            raise ValueError(f'mode must be one of {MODES}, got {self.mode!r}')
        if min(self.batch, *self.size) < 1:
            raise ValueError('batch and size must be positive, got '
                             f'{self.batch} and {tuple(self.size)}')


@dataclass
class Measurement:
    """Of one candidate.

    Attributes:
        seconds (list[float]): Of each repeat, in order.
        batch (int): Samples a repeat.
        peak_bytes (int, optional): Peak memory, see :func:`peak_memory`.
    """

    seconds: List[float] = field(default_factory=list)
    batch: int = 1
    peak_bytes: Optional[int] = None

    @property
    def median(self) -> float:
        """Median seconds of a repeat."""
        return statistics.median(self.seconds)

    @property
    def rate(self) -> float:
        """Samples a second, at the median."""
        return self.batch / self.median

    def summary(self) -> dict:
        """All of it as plain numbers."""
        return dict(
            median_s=self.median,
            min_s=min(self.seconds),
            max_s=max(self.seconds),
            samples_per_s=self.rate,
            peak_bytes=self.peak_bytes,
            seconds=self.seconds)


def random_batch(channels: Sequence[int], work: Workload) -> dict:
    """A batch as a data loader gives it.

    Args:
        channels (Sequence[int]): Bands of each image. Prediction gets the
            first two images.
        work (Workload): Batch, size, seed.

    Returns:
        dict: ``inputs``, a list of ``(C, H, W)`` uint8 tensors, and
        ``data_samples`` with labels of which a third is changed.
    """
    generator = torch.Generator().manual_seed(work.seed)
    bands = sum(channels if work.mode == 'train' else channels[:2])
    meta = dict(
        img_shape=tuple(work.size), ori_shape=tuple(work.size), flip=False)
    inputs, samples = [], []
    for _ in range(work.batch):
        inputs.append(
            torch.randint(
                0,
                256, (bands, *work.size),
                generator=generator,
                dtype=torch.uint8))
        label = torch.rand(1, *work.size, generator=generator) < 1 / 3
        sample = SegDataSample(metainfo=dict(meta))
        sample.gt_sem_seg = PixelData(data=label.long())
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def make_step(candidate: Candidate, work: Workload) -> Callable[[], object]:
    """Build the model; return what does one training step or prediction.

    Schedules stand where a run is half done, so that no term is switched off.

    Args:
        candidate (Candidate): Its config is not changed.
        work (Workload): What to do.

    Returns:
        Callable: Takes nothing.

    Raises:
        ValueError: If the config lacks ``optim_wrapper`` for training, or
            the model has no such part, or never calls it.
    """
    cfg = deepcopy(candidate.cfg)
    init_default_scope(cfg.get('default_scope', 'opencd_gold'))
    torch.manual_seed(work.seed)
    model: nn.Module = MODELS.build(cfg.model).to(work.device)
    data = random_batch(model.data_preprocessor.channels, work)
    if candidate.part is not None:
        half = (cfg.optim_wrapper.type == _MIXED['bfloat16']
                if work.mode == 'train' and 'optim_wrapper' in cfg else
                cfg.model.get('test_cfg', {}).get('precision') == 'bfloat16')
        return _part_step(model, candidate, data, work, half)
    if work.mode == 'infer':
        model.eval()
        if candidate.fuse:
            prepare_for_inference(model)

        def predict():
            with torch.inference_mode():
                return model.test_step(data)

        return predict

    if 'optim_wrapper' not in cfg:
        raise ValueError(f'{candidate.name} has no optim_wrapper, which says '
                         'how to train')
    model.train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)

    def train():
        with _half_done():
            return model.train_step(data, wrapper)

    return train


class _Reached(Exception):
    """Carries what a part of a model is called with."""


def _reach(model: nn.Module, name: str, data: dict) -> Tuple[nn.Module, tuple]:
    """The part of that name and its first call's arguments."""
    try:
        part = model.get_submodule(name)
    except AttributeError as error:
        raise ValueError(f'{type(model).__name__} has no part {name!r}: '
                         f'{error}') from error

    def stop(_, args):
        raise _Reached(args)

    hook = part.register_forward_pre_hook(stop)
    inputs = model.data_preprocessor(data, False)['inputs']
    try:
        with torch.no_grad():
            model(inputs, mode='tensor')
    except _Reached as reached:
        return part, reached.args[0]
    finally:
        hook.remove()
    raise ValueError(f'{type(model).__name__} does not call {name!r} when it '
                     'predicts')


def _part_step(model: nn.Module, candidate: Candidate, data: dict,
               work: Workload, half: bool) -> Callable[[], object]:
    """What runs one part of a model, see :func:`make_step`."""
    part, args = _reach(model.train(work.mode == 'train'), candidate.part,
                        data)
    context = partial(torch.autocast, work.device.split(':')[0],
                      dtype=torch.bfloat16, enabled=half)
    if work.mode == 'infer':

        def forward():
            with torch.inference_mode(), context():
                return part(*args)

        return forward

    args = [arg.requires_grad_() if torch.is_tensor(arg) else arg
            for arg in args]

    def both():
        with context():
            found = part(*args)
        if torch.is_tensor(found):
            found = [found]
        sum(each.float().sum() for each in found).backward()
        part.zero_grad()
        for arg in args:
            if torch.is_tensor(arg):
                arg.grad = None

    return both


@contextmanager
def _half_done():
    """Let schedules see a run that is half done."""
    info = MessageHub.get_current_instance().runtime_info
    before = dict(info)
    info.update(iter=500, max_iters=1000, iters_per_epoch=5)
    try:
        yield
    finally:
        info.clear()
        info.update(before)


def measure(candidates: Sequence[Candidate],
            work: Workload,
            repeats: int = 10,
            warmup: int = 2,
            on_step: Callable[[], object] = lambda: None
            ) -> List[Measurement]:
    """Time candidates in turns; the order turns round with every repeat.

    Args:
        candidates (Sequence[Candidate]): At least one.
        work (Workload): What they do.
        repeats (int): Of each. Default: 10.
        warmup (int): Steps of each before, not counted. Default: 2.
        on_step (Callable): Called after every step. Default: nothing.

    Returns:
        list[Measurement]: One a candidate, without memory.
    """
    if work.threads:
        torch.set_num_threads(work.threads)
    steps = [make_step(candidate, work) for candidate in candidates]
    results = [Measurement(batch=work.batch) for _ in steps]
    for turn in range(warmup + repeats):
        order = list(range(len(steps)))
        for index in order if turn % 2 else reversed(order):
            seconds = _seconds(steps[index], work.device)
            if turn >= warmup:
                results[index].seconds.append(seconds)
            on_step()
    return results


def _seconds(step: Callable, device: str) -> float:
    _wait(device)
    start = time.perf_counter()
    step()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str) -> None:
    if device.startswith('cuda'):
        torch.cuda.synchronize(device)


def peak_memory(candidate: Candidate, work: Workload, steps: int = 3) -> int:
    """Peak memory of a few steps in a fresh process.

    Args:
        candidate (Candidate): To measure.
        work (Workload): What it does.
        steps (int): Default: 3.

    Returns:
        int: Bytes. On CUDA what torch had allocated at most; on a CPU by how
        much the largest resident size exceeds the size before the model was
        built. Weights, gradients, optimizer and data are in it; of a part
        alone, the largest resident size beyond that with its inputs ready.
    """
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(_peak_here, candidate, work, steps).result()


def _peak_here(candidate: Candidate, work: Workload, steps: int) -> int:
    if work.threads:
        torch.set_num_threads(work.threads)
    before = _peak_resident()
    step = make_step(candidate, work)
    if candidate.part is not None:
        before = _forget_peak()
    for _ in range(steps):
        step()
    if work.device.startswith('cuda'):
        return torch.cuda.max_memory_allocated(work.device)
    return _peak_resident() - before


def _forget_peak() -> int:
    """Let the largest resident size be the present one; that, in bytes."""
    gc.collect()
    if _STATUS.is_file():
        _STATUS.with_name('clear_refs').write_text('5')
    return _peak_resident()


def _peak_resident() -> int:
    """Largest resident size of this process so far, in bytes."""
    # getrusage of a child starts at the peak of its parent.
    if _STATUS.is_file():
        for line in _STATUS.read_text().splitlines():
            if line.startswith('VmHWM:'):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def ratios(measurements: Sequence[Measurement]) -> Dict[str, float]:
    """How the first of two compares with the second.

    Args:
        measurements (Sequence[Measurement]): Two.

    Returns:
        dict[str, float]: ``speed``: the second's median time over the
        first's, above 1 where the first is faster. ``memory``: the second's
        peak over the first's, where both are known.
    """
    first, second = measurements
    found = dict(speed=second.median / first.median)
    if first.peak_bytes and second.peak_bytes:
        found['memory'] = second.peak_bytes / first.peak_bytes
    return found
