"""Models from their configs, and weights into them."""
from torch import nn


def without_downloads(model: dict) -> dict:
    """The same model config, built with random weights."""
    if isinstance(model, dict):
        return type(model)({
            key: without_downloads(value)
            for key, value in model.items()
            if key not in ('init_cfg', 'pretrained')
        })
    if isinstance(model, (list, tuple)):
        return type(model)(without_downloads(value) for value in model)
    return model


def load_weights(model: nn.Module,
                 checkpoint: dict,
                 name: str,
                 strict: bool = True) -> None:
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
