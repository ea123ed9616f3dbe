"""One clear error for maps that a module was not built for."""
from typing import Sequence, Tuple, Union

from torch import Tensor, nn

Maps = Union[Tensor, Sequence[Tensor]]
Channels = Union[int, Tuple[int, ...]]


def channels_of(maps: Maps) -> Channels:
    """Channels of a map ``(N, C, h, w)``, or of each map of a pyramid."""
    if isinstance(maps, Tensor):
        return maps.shape[1]
    return tuple(x.shape[1] for x in maps)


def check_channels(owner: nn.Module,
                   expected: Union[int, Sequence[int]],
                   *dates: Maps,
                   name: str = 'in_channels') -> None:
    """Refuse maps of another number of channels, or another number of maps.

    Args:
        owner (nn.Module): Who gets them; the error names its class.
        expected (int | Sequence[int]): Channels of a map, or of each map of
            a pyramid.
        dates (Tensor | Sequence[Tensor]): What each date brings: a map
            ``(N, C, h, w)`` or a pyramid of ``(N, C_i, h_i, w_i)``.
        name (str): What ``owner`` calls ``expected``. Default:
            ``'in_channels'``.

    Raises:
        ValueError: Naming what was expected and what was found.
    """
    if not isinstance(expected, int):
        expected = tuple(expected)
    found = [channels_of(maps) for maps in dates]
    if all(channels == expected for channels in found):
        return
    each = ' of each date' if len(dates) > 1 else ''
    raise ValueError(f'{type(owner).__name__}: expected maps of {name}='
                     f'{expected}{each}, got {" and ".join(map(str, found))}')


def check_batch(owner: nn.Module, norm: nn.Module, x: Tensor) -> None:
    """Refuse to train a batch norm on one value a channel.

    A map that is pooled to one position has one value a sample.

    Args:
        owner (nn.Module): Who pools; the error names its class.
        norm (nn.Module): Sees the map, after a convolution. Only batch norm
            is looked at, and not its synchronised form, which sees the
            batches of all processes.
        x (Tensor): What is pooled, ``(N, C, h, w)``.

    Raises:
        ValueError: In training, where x holds one value a channel.
    """
    if (isinstance(norm, nn.BatchNorm2d) and norm.training
            and x.numel() == x.shape[1]):
        raise ValueError(
            f'{type(owner).__name__}: a batch of one cannot train, since '
            'batch norm of a map pooled to one position sees one value a '
            'channel. Expected a batch_size of at least 2, or another '
            'norm_cfg')
