"""Models from a config and a checkpoint."""
from pathlib import Path
from typing import Union

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.registry import init_default_scope

from opencd_gold.compat import load_checkpoint_file
from opencd_gold.registry import MODELS

from .fusion import prepare_for_inference


def init_model(config: Union[str, Path, Config],
               checkpoint: Union[str, Path, None] = None,
               device: str = 'cpu',
               cfg_options: dict = None,
               strict: bool = True,
               fuse: bool = False):
    """Build a model and load its weights.

    Args:
        config (str | Path | Config): Config file, or what was read from one.
        checkpoint (str | Path, optional): Weights. Default: None, the
            initial ones.
        device (str): Default: ``'cpu'``.
        cfg_options (dict, optional): Overrides of the config. Default: None.
        strict (bool): Refuse a checkpoint whose keys differ. Default: True.
        fuse (bool): Bring the model into the form that predicts fastest,
            see :func:`~opencd_gold.apis.prepare_for_inference`. Default:
            False.

    Returns:
        nn.Module: In evaluation mode on ``device``, with ``cfg`` and, where
        the checkpoint brings it, ``dataset_meta``.

    Raises:
        FileNotFoundError: If config or checkpoint do not exist.
        ValueError: If the checkpoint is of another model: its keys or shapes
            differ, and the first are named.
    """
    if isinstance(config, (str, Path)):
        config = Config.fromfile(config)
    if cfg_options:
        config.merge_from_dict(cfg_options)
    init_default_scope(config.get('default_scope', 'opencd_gold'))
    model = MODELS.build(config.model)
    if checkpoint is None:
        # mmengine would list every parameter on the screen.
        logger = MMLogger.get_current_instance()
        level = logger.level
        logger.setLevel('WARNING')
        model.init_weights()
        logger.setLevel(level)
    else:
        loaded = load_checkpoint_file(checkpoint, map_location='cpu')
        load_weights(model, loaded, str(checkpoint), strict)
        meta = loaded.get('meta', {}) or {}
        if 'dataset_meta' in meta:
            model.dataset_meta = meta['dataset_meta']
    model = revert_sync_batchnorm(model)
    model.cfg = config
    model = model.to(torch.device(device)).eval()
    return prepare_for_inference(model) if fuse else model


def load_weights(model, checkpoint: dict, name: str, strict: bool = True):
    """Load weights, or say in one error why they do not fit.

    Args:
        model (nn.Module): Changed in place.
        checkpoint (dict): With ``state_dict``, or a state dict itself.
        name (str): Of the file, for the error.
        strict (bool): Whether all keys must agree. Shapes always must.
            Default: True.

    Raises:
        ValueError: Naming the first keys that are missing, unexpected, or of
            another shape.
    """
    state = checkpoint.get('state_dict', checkpoint)
    own = model.state_dict()
    problems = {
        'of another shape': [
            f'{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}'
            for key, value in own.items()
            if key in state and state[key].shape != value.shape
        ]
    }
    if not problems['of another shape']:
        differences = model.load_state_dict(state, strict=False)
        if strict:
            problems['missing'] = differences.missing_keys
            problems['unexpected'] = differences.unexpected_keys
    if any(problems.values()):
        found = '; '.join(f'{len(keys)} {what}, first {keys[:3]}'
                          for what, keys in problems.items() if keys)
        raise ValueError(
            f'{name} is a checkpoint of another model than '
            f'{type(model).__name__} of this config: {found}')
