"""Models as files that run without this package's model code.

The network takes raw pixels of both dates, as float32, and returns logits at
their size: normalization and the order of bands are part of it. Batch,
height and width are free. What else is to be known is in the file, see
:class:`~opencd_gold.apis.model_spec.ModelSpec`.
"""
import contextlib
import logging
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import is_concrete_int

from .backends import EXPORTED, TorchBackend, load_exported
from .loading import load_backend
from .model_spec import KEY

# Batch, height and width of the check; odd ones among them.
SIZES = ((1, 128, 128), (2, 96, 160), (3, 101, 75))
_TRACED = (2, 96, 128)
_TOLERANCE = 1e-4


class Deployed(nn.Module):
    """Raw pixels to logits.

    Args:
        backend (TorchBackend): A detector with mmseg's ``encode_decode``.
    """

    def __init__(self, backend: TorchBackend):
        super().__init__()
        self.model = backend.model
        self.channels = backend.spec.channels
        preprocessor = self.model.data_preprocessor
        self.swaps = (preprocessor.bgr_to_rgb
                      != (backend.spec.color_order == 'bgr'))
        self.normalizes = preprocessor.normalise
        if self.normalizes:
            bands = sum(self.channels)
            self.register_buffer('mean', preprocessor.mean[:bands].clone())
            self.register_buffer('std', preprocessor.std[:bands].clone())

    def forward(self, img_from: Tensor, img_to: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            img_from (Tensor): ``(N, C_from, H, W)`` float32, raw, RGB.
            img_to (Tensor): ``(N, C_to, H, W)`` float32, raw.

        Returns:
            Tensor: ``(N, K, H, W)`` float32.
        """
        images = [img_from, img_to]
        if self.swaps:
            images = [image.flip(1) if bands == 3 else image
                      for image, bands in zip(images, self.channels)]
        inputs = torch.cat(images, dim=1)
        if self.normalizes:
            inputs = (inputs - self.mean) / self.std
        size = tuple(inputs.shape[-2:])
        meta = dict(img_shape=size, ori_shape=size, pad_shape=size)
        return self.model.encode_decode(inputs, [meta])


@dataclass
class ExportReport:
    """What was written and how well it agrees.

    Attributes:
        path (Path): The file.
        errors (dict): Largest difference of logits from torch, relative to
            the largest logit (at least 1), by batch, height and width.
    """

    path: Path
    errors: Dict[Tuple[int, int, int], float]


def export(model,
           path,
           weights=None,
           tile_size: Optional[int] = None,
           overlap: Optional[int] = None,
           threshold: Optional[float] = None,
           sizes: Sequence[Tuple[int, int, int]] = SIZES) -> ExportReport:
    """Write a model for use without its code, and compare it with torch.

    Args:
        model (str | Path | Config): As for
            :func:`~opencd_gold.apis.loading.load_backend`, one model.
        path (str | Path): ``.onnx`` (ONNX) or ``.pt2``
            (:func:`torch.export.save`).
        weights (str | Path, optional): Checkpoint of a config.
        tile_size (int, optional): Noted for scenes. Default: None, what the
            config says, or 512.
        overlap (int, optional): Likewise. Default: None, a quarter of
            ``tile_size`` where that is given.
        threshold (float, optional): Likewise. Default: None, that of the
            model.
        sizes (Sequence): Batch, height and width to compare at.

    Returns:
        ExportReport: The differences.

    Raises:
        ValueError: If the suffix is another, the model cannot be exported,
            or the file computes something else than the model; no file is
            left then.
    """
    path = Path(path)
    if path.suffix not in EXPORTED:
        raise ValueError(f'{path}: expected one of the suffixes '
                         f'{", ".join(EXPORTED)}')
    ensemble = load_backend(model, weights, 'cpu', (), fuse=False)
    backend = ensemble.members[0]
    if len(ensemble.members) > 1 or not isinstance(backend, TorchBackend):
        raise ValueError(f'{model}: expected one model that is not exported '
                         f'yet, found {len(ensemble.members)} members')
    test_cfg = getattr(backend.model, 'test_cfg', None)
    if test_cfg is not None:
        test_cfg.update(mode='whole', precision='float32')
    asked = dict(tile_size=tile_size, overlap=overlap, threshold=threshold)
    if tile_size is not None and overlap is None:
        asked['overlap'] = tile_size // 4
    network = Deployed(backend).eval().requires_grad_(False)
    spec = replace(backend.spec, color_order='rgb', **{
        key: value for key, value in asked.items() if value is not None})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'{path.stem}.{os.getpid()}.tmp{path.suffix}')
    try:
        with _quiet():
            program = _trace(network, spec)
            write = _write_onnx if path.suffix == '.onnx' else _write_program
            write(program, temporary, spec.to_json())
        errors = _compare(network, load_exported(temporary), sizes)
        worst = max(errors, key=errors.get)
        if not errors[worst] <= _TOLERANCE:
            raise ValueError(
                f'{path}: logits of {worst} (batch, height, width) differ '
                f'from torch by {errors[worst]:.2g}, expected at most '
                f'{_TOLERANCE:g}; nothing was written')
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return ExportReport(path, errors)


@contextlib.contextmanager
def _quiet():
    """Without the remarks of exporters on what does not concern a user."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)


def _samples(channels: Sequence[int], size: Tuple[int, int, int]):
    """Raw pixels of both dates."""
    generator = torch.Generator().manual_seed(sum(size))
    count, height, width = size
    return tuple(
        255 * torch.rand(count, bands, height, width, generator=generator)
        for bands in channels)


def _trace(network: Deployed, spec) -> torch.export.ExportedProgram:
    """The network's graph, of any batch, height and width."""
    free = {axis: torch.export.Dim.AUTO for axis in (0, 2, 3)}
    try:
        program = torch.export.export(
            network, _samples(spec.channels, _TRACED),
            dynamic_shapes=(free, free))
    except Exception as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(f'{spec.name} cannot be exported: its computation '
                         f'depends on the data or on sizes: {first}'
                         ) from error
    inputs = set(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        if node.name not in inputs:
            continue
        for axis, word in ((0, 'batch'), (2, 'height'), (3, 'width')):
            if is_concrete_int(node.meta['val'].shape[axis]):
                raise ValueError(
                    f'{spec.name} cannot be exported: its computation fixes '
                    f'the {word} of {node.name} to that of the example, '
                    f'{_TRACED}, expected any')
    return program


def _write_onnx(program, path: Path, description: str) -> None:
    try:
        import onnxscript  # noqa: F401  torch.onnx needs it
    except ImportError as error:
        raise ImportError(
            'writing ONNX needs onnx and onnxscript, which are not '
            'installed: pip install "opencd_gold[export]"') from error
    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(
            nowhere):
        converted = torch.onnx.export(
            program,
            dynamo=True,
            input_names=['img_from', 'img_to'],
            output_names=['logits'],
            verbose=False)
    converted.model.metadata_props[KEY] = description
    converted.save(str(path), external_data=False)


def _write_program(program, path: Path, description: str) -> None:
    torch.export.save(program, str(path), extra_files={KEY: description})


def _compare(network: Deployed, exported, sizes) -> dict:
    """Differences of logits, relative to the largest one."""
    errors = {}
    for size in sizes:
        images = _samples(network.channels, size)
        with torch.no_grad():
            expected = network(*images)
        found = torch.from_numpy(
            exported.logits(*(image.numpy() for image in images)))
        if found.shape != expected.shape:
            raise ValueError(f'logits of {size} have the shape '
                             f'{tuple(found.shape)}, expected '
                             f'{tuple(expected.shape)}')
        scale = max(1., expected.abs().max().item())
        errors[size] = (found - expected).abs().max().item() / scale
    return errors
