"""The shapes that data has between the parts of a model.

``inputs`` is a tensor ``(N, sum(channels), H, W)``: the images of a sample in
the order from, to[, guide], concatenated on the channel axis, each with its
own number of bands. ``channels`` is said once, in the data preprocessor.
"""
from dataclasses import dataclass, field
from typing import Dict, NamedTuple, Optional, Sequence, Tuple

from torch import Tensor


class ImageTuple(NamedTuple):
    """The images of a batch, apart.

    Attributes:
        img_from (Tensor): First date, ``(N, C_from, H, W)``.
        img_to (Tensor): Second date, ``(N, C_to, H, W)``.
        img_guide (Tensor, optional): Guide of the second date (another,
            easier sensor), ``(N, C_guide, H, W)``; training only.
    """

    img_from: Tensor
    img_to: Tensor
    img_guide: Optional[Tensor] = None


def split_images(inputs: Tensor, channels: Sequence[int]) -> ImageTuple:
    """Split ``inputs`` by the channel counts of its images.

    Args:
        inputs (Tensor): ``(N, C, H, W)`` with ``C`` the sum of all
            ``channels``, or of the first two when the guide is absent.
        channels (Sequence[int]): Bands of from, to and, where the model
            knows one, guide.

    Returns:
        ImageTuple: Views of ``inputs``.

    Raises:
        ValueError: If ``C`` is neither sum.
    """
    channels = tuple(channels)
    total = inputs.shape[1]
    for counts in (channels, channels[:2]):
        if total == sum(counts):
            return ImageTuple(*inputs.split(counts, dim=1))
    allowed = f'{sum(channels)} = {" + ".join(map(str, channels))}'
    if len(channels) > 2:
        allowed += f' (or {sum(channels[:2])} without the guide)'
    raise ValueError(
        f'inputs have {total} channels, but the data preprocessor says '
        f'channels={channels}: expected {allowed}')


def class_map(scores: Tensor, threshold: Optional[float] = None) -> Tensor:
    """Class of each pixel.

    Args:
        scores (Tensor): Logits ``(..., K, H, W)``; where K is 1, the
            probability of change.
        threshold (float, optional): Probability above which a pixel counts
            as changed, where K is 1 or 2. Default: None, the highest score
            wins; one channel needs a threshold.

    Returns:
        Tensor: ``(..., 1, H, W)``, int64.
    """
    if scores.shape[-3] == 1:
        return (scores > threshold).long()
    if threshold is None:
        return scores.argmax(-3, keepdim=True)
    return (scores.softmax(-3)[..., 1:, :, :] > threshold).long()


@dataclass
class BranchOutputs:
    """What one pair of dates computed.

    Attributes:
        feat_from (Tensor): Features of the first date, ``(N, C, h, w)``.
        feat_to (Tensor): Features of the other date, ``(N, C, h, w)``.
        fused (Tensor): Features of the pair, ``(N, C', h, w)``.
        logits (Tensor): Class scores before any activation,
            ``(N, K, h, w)``.
        pyramid_from (tuple[Tensor]): The encoder's stages of the first date,
            ``(N, C_i, h_i, w_i)``, finest first; may be empty.
        pyramid_to (tuple[Tensor]): The same of the other date.
        extras (dict[str, Tensor]): Whatever else a head can show, by name.
    """

    feat_from: Tensor
    feat_to: Tensor
    fused: Tensor
    logits: Tensor
    pyramid_from: Tuple[Tensor, ...] = ()
    pyramid_to: Tuple[Tensor, ...] = ()
    extras: Dict[str, Tensor] = field(default_factory=dict)
