"""Change detection in remote-sensing image pairs, with distillation.

Importing the package makes mmsegmentation importable with mmcv-lite, makes
checkpoint loading safe and checks the versions of the dependencies; see
:mod:`opencd_gold.compat`.
"""
from .compat import apply as _apply_compat
from .version import __version__

_apply_compat()

__all__ = ['__version__']
