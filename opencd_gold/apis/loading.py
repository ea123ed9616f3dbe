"""From the name or path of a model to a backend that runs it."""
import hashlib
import logging
from pathlib import Path
from typing import Optional, Sequence, Union

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope

import opencd_gold
from opencd_gold.building import load_weights, without_downloads
from opencd_gold.compat import load_checkpoint_file

from .backends import EXPORTED, Backend, Ensemble, TorchBackend, load_exported
from .inference import init_weights
from .model_spec import OVERLAP, TILE_SIZE, ModelSpec
from .publish import plain_model_config, publish

CONFIGS = Path(opencd_gold.__file__).parents[1] / 'configs'
ModelName = Union[str, Path, Config]
# Keys of the part ``inference`` of a config.
_INFERENCE = ('members', 'flips', 'threshold', 'tile_size', 'overlap')
_MEMBER = ('model', 'weights', 'weight', 'cfg_options')


def load_backend(model: Union[ModelName, Sequence[ModelName]],
                 weights: Union[str, Path, Sequence, None] = None,
                 device: str = 'cpu',
                 flips: Optional[Sequence[str]] = None,
                 fuse: bool = True,
                 cfg_options: Optional[dict] = None) -> Backend:
    """Load whatever stands for a model.

    Args:
        model (str | Path | Config | Sequence): One of

            - a config, by path or by its name below ``configs/``;
            - a checkpoint that brings its config
              (``tools/model_converters/publish_model.py``, or any
              checkpoint of training);
            - an exported file, ``.onnx`` or ``.pt2``;
            - a config with ``inference = dict(members=[dict(model=...,
              weights=..., weight=1.), ...], flips=[...])``, an ensemble, its
              paths relative to the config;
            - several of these, an ensemble of equal weights.
        weights (str | Path | Sequence, optional): Checkpoint of a config;
            several for an ensemble of one config. Default: None, the initial
            weights, of which a warning tells.
        device (str): Default: ``'cpu'``.
        flips (Sequence[str], optional): Test-time augmentation by flips, see
            :class:`~opencd_gold.apis.backends.Ensemble`. Default: None, what
            the config says.
        fuse (bool): Bring detectors into the form that predicts fastest,
            where they have one. Default: True.
        cfg_options (dict, optional): Overrides of the config. Default: None.

    Returns:
        Backend: Without teacher and guide.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If no model has that name, or files do not fit together.
    """
    if isinstance(model, (list, tuple)):
        if not model:
            raise ValueError('no model given, expected at least one')
        if weights is not None and len(weights) != len(model):
            raise ValueError(f'{len(model)} models and {len(weights)} '
                             'checkpoints, expected as many')
        checkpoints = weights or [None] * len(model)
        return Ensemble([
            load_backend(name, checkpoint, device, (), fuse, cfg_options)
            for name, checkpoint in zip(model, checkpoints)
        ], flips=flips or ())
    if isinstance(weights, (list, tuple)):
        return load_backend([model] * len(weights), weights, device, flips,
                            fuse, cfg_options)
    if not isinstance(model, Config) and Path(model).suffix in EXPORTED:
        if weights is not None:
            raise ValueError(f'{model} holds its weights, found also '
                             f'{weights}')
        return Ensemble([load_exported(model, device)], flips=flips or ())
    config, checkpoint, name = _find(model, weights)
    if cfg_options:
        config.merge_from_dict(cfg_options)
    said = _inference_of(config, name)
    if flips is None:
        flips = said.get('flips', ())
    if 'members' in said:
        if weights is not None:
            raise ValueError(f'{name}: its inference.members name their '
                             f'weights, found also {weights}')
        return _ensemble(said['members'], Path(name).parent, device, flips,
                         fuse)
    backend = _build(config, checkpoint, name, str(weights or model), device,
                     fuse, said)
    return Ensemble([backend], flips=flips)


def _inference_of(config: Config, name: str) -> dict:
    """The part ``inference`` of a config, checked."""
    said = dict(config.get('inference') or {})
    unknown = set(said) - set(_INFERENCE)
    if unknown:
        raise ValueError(f'{name}: inference has {sorted(unknown)}, expected '
                         f'some of {_INFERENCE}')
    return said


def _ensemble(members, folder: Path, device: str, flips, fuse: bool):
    """An ensemble as a config describes it."""
    backends, weights = [], []
    for index, member in enumerate(members):
        unknown = set(member) - set(_MEMBER)
        if unknown or 'model' not in member:
            raise ValueError(
                f'inference.members[{index}]: found {sorted(member)}, '
                f"expected 'model' and some of {_MEMBER[1:]}")
        paths = [
            None if name is None else
            folder / name if (folder / name).exists() else name
            for name in (member['model'], member.get('weights'))
        ]
        backends.append(
            load_backend(*paths, device, (), fuse, member.get('cfg_options')))
        weights.append(member.get('weight', 1.))
    return Ensemble(backends, weights, flips)


def _find(model: ModelName, weights) -> tuple:
    """Config, checkpoint (or None) and name that are meant."""
    checkpoint = None
    if weights is not None:
        checkpoint = load_checkpoint_file(weights)
    if isinstance(model, Config):
        return Config(model.to_dict()), checkpoint, model.filename or 'config'
    path = Path(model).expanduser()
    if path.suffix == '.pth':
        if weights is not None:
            raise ValueError(f'{path} and {weights} are both checkpoints, '
                             'expected a config and a checkpoint')
        checkpoint = load_checkpoint_file(path)
        text = (checkpoint.get('meta') or {}).get('cfg')
        if text is None:
            raise ValueError(
                f'{path} brings no config: found no meta.cfg; give the '
                'config as the model and this file as its weights')
        return Config.fromstring(text, '.py'), checkpoint, str(path)
    if path.suffix != '.py':
        found = sorted(CONFIGS.glob(f'[!_]*/{path.name}.py'))
        if not found or path.parent != Path('.'):
            raise ValueError(
                f'no model {str(model)!r}: expected a config (.py), a '
                f'checkpoint (.pth), an exported model ({", ".join(EXPORTED)}'
                f') or the name of a config in {CONFIGS}')
        path = found[0]
    if not path.is_file():
        raise FileNotFoundError(f'no config at {path}')
    return Config.fromfile(path), checkpoint, str(path)


def _build(config: Config, checkpoint, name: str, source: str, device: str,
           fuse: bool, said: dict) -> TorchBackend:
    """A detector without teacher, its weights loaded."""
    import torch
    from mmengine.model.utils import revert_sync_batchnorm

    from opencd_gold.registry import MODELS

    from .fusion import prepare_for_inference
    if 'model' not in config:
        raise ValueError(f'{name} has no model')
    init_default_scope(config.get('default_scope', 'opencd_gold'))
    plain = plain_model_config(config.model)
    if checkpoint is None:
        print_log(
            f'{name}: no weights given, predicting with initial ones',
            logger='current', level=logging.WARNING)
    elif plain != config.model.to_dict():
        checkpoint = publish(checkpoint, config)

    def build():
        network = plain if checkpoint is None else without_downloads(plain)
        model = MODELS.build(network)
        if checkpoint is None:
            init_weights(model)
        else:
            load_weights(model, checkpoint, source)
        return revert_sync_batchnorm(model).to(torch.device(device)).eval()

    model = build()
    meta = (checkpoint or {}).get('meta') or {}
    spec = _describe(config, model, meta, name, said)
    if fuse and hasattr(model, 'forward_branch'):
        try:
            model = prepare_for_inference(model)
        except ValueError as error:
            print_log(f'{name}: runs unfused, {error}', logger='current',
                      level=logging.WARNING)
            model = build()
    return TorchBackend(model, spec)


def _describe(config: Config, model, meta: dict, name: str,
              said: dict) -> ModelSpec:
    """What is to be known of a detector."""
    preprocessor = model.data_preprocessor
    channels = tuple(preprocessor.channels[:2])
    statistics = {}
    for key in ('mean', 'std'):
        if preprocessor.normalise:
            values = getattr(preprocessor, key).flatten().tolist()
            statistics[key] = (tuple(values[:channels[0]]),
                               tuple(values[channels[0]:sum(channels)]))
    dataset = meta.get('dataset_meta') or {}
    head = getattr(model, 'decode_head', None)
    threshold = said.get('threshold', getattr(head, 'threshold', None))
    return ModelSpec(
        name=Path(name).stem,
        channels=channels,
        color_order=_color_order(config),
        classes=tuple(dataset.get('classes', ModelSpec.classes)),
        palette=tuple(map(tuple, dataset.get('palette', ModelSpec.palette))),
        threshold=0.5 if threshold is None else threshold,
        tile_size=said.get('tile_size', TILE_SIZE),
        overlap=said.get('overlap', OVERLAP),
        digest=digest_of(model),
        **statistics)


def _color_order(config: Config) -> str:
    """Order of bands that the test pipeline loads; RGB without one."""
    loader = config.get('test_dataloader') or {}
    pipeline = (loader.get('dataset') or {}).get('pipeline') or ()
    for step in pipeline:
        if step['type'].split('.')[-1] == 'MultiImgLoadImageFromFile':
            return step.get('color_order', 'bgr')
    return 'rgb'


def digest_of(model) -> str:
    """Short hash of all weights, which tells one checkpoint from another."""
    found = hashlib.sha256()
    for key, value in model.state_dict().items():
        found.update(key.encode())
        found.update(value.detach().cpu().contiguous().view(-1).numpy()
                     .tobytes())
    return found.hexdigest()[:16]
