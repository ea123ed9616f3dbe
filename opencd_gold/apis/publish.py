"""A trained checkpoint without what only training needs."""
import inspect
from typing import Optional

from mmengine.config import Config
from mmengine.registry import init_default_scope

from opencd_gold.building import without_downloads
from opencd_gold.registry import MODELS


def plain_model_config(model: dict) -> dict:
    """Config of the model that predicts what ``model`` does, no teacher.

    Args:
        model (dict): ``model`` of a config; not changed.

    Returns:
        dict: The same for a model that has no teacher.
    """
    model = Config(dict(model=model)).model.to_dict()
    name = model['type'].split('.')[-1]
    if name == 'MultiTeacherDetector':
        return plain_model_config(model['student'])
    if name == 'TripleBranchDetector':
        # Not above: exported models run without the code of models.
        from opencd_gold.models import (
            BitemporalDetector,
            TripleBranchDetector,
        )
        known = inspect.signature(BitemporalDetector).parameters
        for key in inspect.signature(TripleBranchDetector).parameters:
            if key not in known:
                model.pop(key, None)
        model['type'] = 'BitemporalDetector'
        model.get('test_cfg', {}).pop('evaluate_teacher', None)
    return model


def publish(checkpoint: dict, config: Optional[Config] = None) -> dict:
    """Strip a checkpoint to what prediction needs.

    Args:
        checkpoint (dict): Of a training run, as mmengine saves it.
        config (Config, optional): Of the run. Default: None, that which the
            checkpoint brings in ``meta.cfg``.

    Returns:
        dict: ``state_dict`` of the student alone, which the plain model loads
        strictly, and ``meta`` with ``cfg`` (its text) and ``dataset_meta``.

    Raises:
        ValueError: If no config is given or in the checkpoint, or if weights
            of the plain model are missing.
    """
    meta = checkpoint.get('meta', {})
    if config is None:
        if 'cfg' not in meta:
            raise ValueError('the checkpoint brings no config: expected one '
                             'in meta.cfg, or --config')
        config = Config.fromstring(meta['cfg'], '.py')
    config = Config(config.to_dict())
    config.model = plain_model_config(config.model)
    init_default_scope(config.get('default_scope', 'opencd_gold'))
    own = MODELS.build(without_downloads(config.model)).state_dict()
    state = checkpoint.get('state_dict', checkpoint)
    missing = [key for key in own if key not in state]
    if missing:
        raise ValueError(
            f'{len(missing)} weights of {config.model.type} are missing, '
            f'first {missing[:3]}: a checkpoint of another config?')
    kept = {'cfg': config.pretty_text}
    if 'dataset_meta' in meta:
        kept['dataset_meta'] = meta['dataset_meta']
    return dict(state_dict={key: state[key] for key in own}, meta=kept)
