"""Models: preprocessing, encoders, necks, heads, losses, detectors."""
from .backbones import *  # noqa: F401,F403
from .data_preprocessor import ChangeDataPreProcessor
from .decode_heads import *  # noqa: F401,F403
from .detectors import *  # noqa: F401,F403
from .losses import *  # noqa: F401,F403
from .necks import *  # noqa: F401,F403

__all__ = ['ChangeDataPreProcessor']
