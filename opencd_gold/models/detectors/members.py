"""Detectors that are parts of another one and bring their own weights."""
from typing import List, Optional

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor, nn

from opencd_gold.building import load_weights, without_downloads
from opencd_gold.compat import load_checkpoint_file
from opencd_gold.registry import MODELS

_KEYS = ('checkpoint', 'config', 'model')


class Member:
    """A detector inside of another one.

    Attributes:
        name (str): Where it stands in the config.
        checkpoint (str, optional): Path.
        model (dict): What was built.
        module (nn.Module): With random weights until :meth:`load`.

    Args:
        name (str): Where it stands in the config, for errors.
        spec (dict): ``checkpoint``, a path or None; what it is, by ``model``,
            a model config, or by ``config``, the path of a config file.
        default (dict, optional): Model config where ``spec`` has neither.
            Default: None.

    Raises:
        ValueError: If ``spec`` has another key, both ``model`` and
            ``config``, or neither without a default.
    """

    def __init__(self, name: str, spec: dict, default: Optional[dict] = None):
        unknown = set(spec) - set(_KEYS)
        if unknown:
            raise ValueError(f'{name} has the keys {sorted(unknown)}, '
                             f'expected some of {_KEYS}')
        model, config = spec.get('model'), spec.get('config')
        if model is not None and config is not None:
            raise ValueError(f'{name} has model and config, expected one')
        if config is not None:
            model = Config.fromfile(config).model
        model = default if model is None else model
        if model is None:
            raise ValueError(f'{name} has neither model nor config')
        self.name = name
        self.checkpoint = spec.get('checkpoint')
        self.model = model
        self.module = MODELS.build(without_downloads(model))

    def load(self) -> None:
        """Load the weights, strictly.

        Raises:
            ValueError: If no checkpoint is named, or it is of another model.
        """
        key = f'{self.name}.checkpoint'
        if not self.checkpoint:
            raise ValueError(
                f'{key} is {self.checkpoint!r}, expected the path of a '
                'checkpoint: set it in the config, or by --cfg-options '
                f'{key}=PATH')
        load_member(self.module, key, self.checkpoint)


class FrontedModel(BaseModel):
    """A detector that shows what one of its parts shows.

    Attributes that are not its own (``decode_head``, ``test_cfg``,
    ``out_channels`` and so on) are those of the part named ``front``.
    """

    front: str

    def __getattr__(self, name):
        """Look in the front what is not here."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == self.front:
                raise
            return getattr(getattr(self, self.front), name)


def load_member(module: nn.Module, key: str, path: str) -> None:
    """Load a checkpoint file strictly.

    Args:
        module (nn.Module): Changed in place.
        key (str): Of the config that names the file, for the error.
        path (str): The file.

    Raises:
        ValueError: If it is a checkpoint of another model.
    """
    load_weights(module, load_checkpoint_file(path), f'{key}={path}')


def check_alike(key: str, member: nn.Module, front: str,
                own: nn.Module) -> None:
    """Refuse a member that the batches of the front do not suit.

    Args:
        key (str): Of the config that describes the member, for the error.
        member (nn.Module): A detector.
        front (str): Name of the front, for the error.
        own (nn.Module): The front, whose images the member gets.

    Raises:
        ValueError: If it gives another number of channels, or its data
            preprocessor differs.
    """
    problems: List[str] = []
    if member.out_channels != own.out_channels:
        problems.append(f'gives {member.out_channels} channels, the {front} '
                        f'{own.out_channels}')
    ours, theirs = (model.data_preprocessor for model in (own, member))
    for name in ('channels', 'mean', 'std', 'bgr_to_rgb'):
        if type(theirs) is not type(ours) and not (
                hasattr(theirs, name) and hasattr(ours, name)):
            continue  # another package's has it not, or elsewhere
        one, other = (getattr(each, name, None) for each in (ours, theirs))
        same = (torch.equal(one, other) if isinstance(one, Tensor)
                and isinstance(other, Tensor) and one.shape == other.shape
                else not isinstance(one, Tensor) and one == other)
        if not same:
            problems.append(f'has data_preprocessor.{name} {_short(other)}, '
                            f'the {front} {_short(one)}')
    if problems:
        raise ValueError(f'{key} gets the images of the {front}, but '
                         f'{"; ".join(problems)}')


def _short(value):
    return value.flatten().tolist() if isinstance(value, Tensor) else value
