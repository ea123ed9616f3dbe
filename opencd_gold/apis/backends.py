"""One interface to models that run by torch, onnxruntime or torch.export.

A backend takes raw pixels of both dates and gives the probability of change.
Only :class:`TorchBackend` needs the code of models, which it is handed.
"""
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Optional, Sequence

import numpy as np

from .model_spec import KEY, ModelSpec

FLIPS = dict(horizontal=(-1, ), vertical=(-2, ), diagonal=(-2, -1))
EXPORTED = ('.onnx', '.pt2')


class Backend(ABC):
    """A model, however it is run.

    Attributes:
        spec (ModelSpec): What it expects.
    """

    spec: ModelSpec

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Probability of change.

        Args:
            images (ndarray): ``(N, C_from + C_to, H, W)``, raw pixels in the
                order of the files (RGB).

        Returns:
            ndarray: ``(N, H, W)`` float32.

        Raises:
            ValueError: If the number of bands is another.
        """
        if images.shape[1] != sum(self.spec.channels):
            raise ValueError(
                f'{self.spec.name}: found {images.shape[1]} bands, expected '
                f'{" + ".join(map(str, self.spec.channels))}')
        if self.spec.color_order == 'bgr':
            first, second = np.split(images, self.spec.channels[:1], axis=1)
            images = np.concatenate([
                part[:, ::-1] if part.shape[1] == 3 else part
                for part in (first, second)
            ], axis=1)
        return self._probability(images)

    @abstractmethod
    def _probability(self, images: np.ndarray) -> np.ndarray:
        """What :meth:`__call__` returns, for bands in the model's order."""


class TorchBackend(Backend):
    """A detector of this package, or of any other with mmseg's ``predict``.

    Args:
        model (nn.Module): In evaluation mode on its device.
        spec (ModelSpec): Of it.
    """

    def __init__(self, model, spec: ModelSpec):
        self.model = model
        self.spec = spec

    def _probability(self, images: np.ndarray) -> np.ndarray:
        import torch
        if images.dtype not in (np.uint8, np.float32):
            images = images.astype(np.float32)
        batch = list(torch.from_numpy(np.ascontiguousarray(images)))
        with torch.no_grad():
            inputs = self.model.data_preprocessor(
                dict(inputs=batch, data_samples=None))['inputs']
            scores = torch.stack([
                sample.seg_logits.data
                for sample in self.model.predict(inputs)
            ])
            # Post-processing has applied the sigmoid of one channel.
            if scores.shape[1] == 1:
                change = scores[:, 0]
            else:
                change = scores.float().softmax(1)[:, 1:].sum(1)
        return change.float().cpu().numpy()


class ExportedBackend(Backend):
    """A file of ``tools/export.py``, which gives logits of raw pixels."""

    @abstractmethod
    def logits(self, img_from: np.ndarray, img_to: np.ndarray) -> np.ndarray:
        """Logits ``(N, K, H, W)`` of raw float32 pixels of both dates."""

    def _probability(self, images: np.ndarray) -> np.ndarray:
        dates = np.split(
            images.astype(np.float32), self.spec.channels[:1], axis=1)
        return change_probability(
            self.logits(*map(np.ascontiguousarray, dates)))


class OnnxBackend(ExportedBackend):
    """A file of ``tools/export.py``, by onnxruntime alone.

    Args:
        path (str | Path): The ``.onnx`` file.
        device (str): ``'cpu'``, or ``'cuda'`` where onnxruntime has it.
            Default: ``'cpu'``.
        threads (int, optional): Of the CPU. Default: None, all that the
            process may use.

    Raises:
        ImportError: Without onnxruntime.
        ValueError: If the file cannot be run or carries no description of
            the model.
    """

    def __init__(self, path, device: str = 'cpu',
                 threads: Optional[int] = None):
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError(
                f'{path}: running ONNX needs onnxruntime, which is not '
                'installed: pip install "opencd_gold[export]"') from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads:
            options.intra_op_num_threads = threads
        providers = ['CPUExecutionProvider']
        if device.startswith('cuda'):
            providers.insert(0, 'CUDAExecutionProvider')
            if providers[0] not in onnxruntime.get_available_providers():
                raise ValueError(
                    f'{path}: device {device}, but this onnxruntime runs on '
                    f'{onnxruntime.get_available_providers()} alone')
        try:
            self.session = onnxruntime.InferenceSession(
                str(path), options, providers=providers)
        except Exception as error:
            raise ValueError(f'{path} cannot be run: {error}') from error
        meta = self.session.get_modelmeta().custom_metadata_map
        if KEY not in meta:
            raise ValueError(
                f'{path}: has no metadata {KEY!r}, expected a file of '
                'tools/export.py')
        self.spec = ModelSpec.from_json(meta[KEY], str(path))

    def logits(self, img_from: np.ndarray, img_to: np.ndarray) -> np.ndarray:
        """Logits ``(N, K, H, W)`` of raw float32 pixels of both dates."""
        logits, = self.session.run(
            None, dict(img_from=img_from, img_to=img_to))
        return logits


class ProgramBackend(ExportedBackend):
    """A ``.pt2`` file of ``tools/export.py``, by torch without model code.

    Args:
        path (str | Path): The file.
        device (str): Default: ``'cpu'``.

    Raises:
        ValueError: If the file cannot be read or carries no description of
            the model.
    """

    def __init__(self, path, device: str = 'cpu'):
        import torch
        extra = {KEY: ''}
        try:
            program = torch.export.load(str(path), extra_files=extra)
        except Exception as error:
            raise ValueError(f'{path} cannot be read: {error}') from error
        if not extra[KEY]:
            raise ValueError(
                f'{path}: has no extra file {KEY!r}, expected a file of '
                'tools/export.py')
        self.spec = ModelSpec.from_json(extra[KEY], str(path))
        self.device = torch.device(device)
        if self.device.type != 'cpu':
            from torch.export.passes import move_to_device_pass
            program = move_to_device_pass(program, self.device)
        self.module = program.module()

    def logits(self, img_from: np.ndarray, img_to: np.ndarray) -> np.ndarray:
        """Logits ``(N, K, H, W)`` of raw float32 pixels of both dates."""
        import torch
        images = [torch.from_numpy(image).to(self.device)
                  for image in (img_from, img_to)]
        with torch.no_grad():
            return self.module(*images).cpu().numpy()


def change_probability(logits: np.ndarray) -> np.ndarray:
    """Probability of all classes but the first.

    Args:
        logits (ndarray): ``(N, K, H, W)``; K = 1 for one sigmoid output.

    Returns:
        ndarray: ``(N, H, W)`` float32.
    """
    if logits.shape[1] == 1:
        # Written so that large negative logits do not overflow.
        return 0.5 * (1 + np.tanh(0.5 * logits[:, 0]))
    scores = np.exp(logits - logits.max(1, keepdims=True))
    return scores[:, 1:].sum(1) / scores.sum(1)


class Ensemble(Backend):
    r"""Mean probability of several models, and of flips of the image.

    .. math:: p = \frac{1}{\sum_k w_k}\sum_k w_k\,
        \frac{1}{n}\sum_i F_i^{-1}(p_k(F_i x))

    Args:
        members (Sequence[Backend]): The models.
        weights (Sequence[float], optional): w. Default: None, all alike.
        flips (Sequence[str]): ``'horizontal'``, ``'vertical'``,
            ``'diagonal'``: flips F beside the image as it is. Default: none.

    Raises:
        ValueError: If models expect other bands or have other classes than
            the first, if a flip is unknown, or if weights do not fit.
    """

    def __init__(self,
                 members: Sequence[Backend],
                 weights: Optional[Sequence[float]] = None,
                 flips: Sequence[str] = ()):
        first = members[0].spec
        for other in members[1:]:
            for key in ('channels', 'classes'):
                if getattr(other.spec, key) != getattr(first, key):
                    raise ValueError(
                        f'ensemble: {other.spec.name} has {key} '
                        f'{getattr(other.spec, key)}, expected '
                        f'{getattr(first, key)} as {first.name}')
        unknown = set(flips) - set(FLIPS)
        if unknown:
            raise ValueError(f'flips {sorted(unknown)}: expected some of '
                             f'{", ".join(FLIPS)}')
        weights = [1.] * len(members) if weights is None else list(weights)
        if len(weights) != len(members) or min(weights) <= 0:
            raise ValueError(
                f'ensemble: weights {weights}, expected {len(members)} '
                'positive numbers')
        self.members = list(members)
        self.weights = [weight / sum(weights) for weight in weights]
        self.flips = (None, *dict.fromkeys(flips))
        # Each member turns the bands round for itself.
        self.spec = replace(first, color_order='rgb')
        if len(members) > 1 or flips:
            parts = [f'{weight:g} {member.spec.digest}'
                     for weight, member in zip(self.weights, members)]
            self.spec = replace(
                self.spec,
                name=' + '.join(member.spec.name for member in members),
                digest=' '.join([*parts, *map(str, self.flips[1:])]))

    def _probability(self, images: np.ndarray) -> np.ndarray:
        total = 0.
        for flip in self.flips:
            axes = FLIPS.get(flip, ())
            turned = np.flip(images, axes)
            for weight, member in zip(self.weights, self.members):
                total = total + weight * np.flip(member(turned), axes)
        return (total / len(self.flips)).astype(np.float32)


def load_exported(path, device: str = 'cpu') -> ExportedBackend:
    """Open a file of ``tools/export.py``.

    Args:
        path (str | Path): ``.onnx`` or ``.pt2``.
        device (str): Default: ``'cpu'``.

    Returns:
        ExportedBackend: Ready to run.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be run.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'no exported model at {path}')
    kind = OnnxBackend if path.suffix == '.onnx' else ProgramBackend
    return kind(path, device)
