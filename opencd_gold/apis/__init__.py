"""What scripts and notebooks call.

What needs the code of models is imported when it is first used, so that an
exported model runs without.
"""
import importlib

from .publish import plain_model_config, publish

_HOMES = dict(
    ChangeInferencer='inferencer',
    ChangeResult='inferencer',
    init_model='inference',
    prepare_for_inference='fusion')

__all__ = [
    'ChangeInferencer', 'ChangeResult', 'init_model', 'plain_model_config',
    'prepare_for_inference', 'publish'
]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    home = importlib.import_module(f'{__name__}.{_HOMES[name]}')
    return getattr(home, name)
