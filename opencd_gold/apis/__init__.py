"""What scripts and notebooks call."""
from .fusion import prepare_for_inference
from .inference import init_model
from .publish import plain_model_config, publish

__all__ = [
    'init_model', 'plain_model_config', 'prepare_for_inference', 'publish'
]
