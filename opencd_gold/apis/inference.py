"""Models from a config and a checkpoint."""
from pathlib import Path
from typing import Union

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.registry import init_default_scope

from opencd_gold.building import load_weights
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
        init_weights(model)
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


def init_weights(model) -> None:
    """Give a model its initial weights, without listing all of them.

    Args:
        model (BaseModule): Changed in place.
    """
    logger = MMLogger.get_current_instance()
    level = logger.level
    # mmengine would show every parameter on the screen.
    logger.setLevel('WARNING')
    model.init_weights()
    logger.setLevel(level)
