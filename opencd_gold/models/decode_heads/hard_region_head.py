"""Head of HRMNet: review of the levels, and where the map is wrong.

"Boosting Remote Sensing Change Detection via Hard Region Mining", and in its
older form AR-CDNet (https://arxiv.org/abs/2305.19513).
"""
from typing import Dict, List, Optional, Sequence, Union

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, Sequential
from torch import Tensor, nn

from opencd_gold.models.layers import (
    FeatureFusion,
    channels_of,
    check_channels,
    dates_apart,
    mean,
    resize_map,
)
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

from .change_head import ChangeHead


def change_logit(logits: Tensor) -> Tensor:
    """Logit of change ``(N, 1, h, w)`` of one or two output channels."""
    if logits.shape[1] == 1:
        return logits
    return logits[:, 1:] - logits[:, :1]


class MaskHead(BaseModule):
    """3x3 convolution with norm and ReLU, 1x1 convolution to logits.

    Args:
        channels (int): Of the map.
        out_channels (int): Of the logits.
        cfg (dict): ``norm_cfg`` and ``act_cfg``.
    """

    def __init__(self, channels: int, out_channels: int, cfg: dict):
        super().__init__()
        self.conv = ConvModule(
            channels, channels, 3, padding=1, bias=True, **cfg)
        self.cls = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, h, w)`` to ``(N, K, h, w)``."""
        return self.cls(self.conv(x))


class FeatureEnhancement(BaseModule):
    r"""Attention over positions that is given, then over channels.

    :math:`y = conv_{1x1}(x) (1 + A)`, :math:`w = \sigma(W_2 relu(W_1
    avg(y)))`, result :math:`conv_{3x3}(y w)`; both convolutions with norm and
    ReLU.

    Args:
        channels (int): Of the input.
        out_channels (int): Of the result.
        cfg (dict): ``norm_cfg`` and ``act_cfg``.
        plain (bool): Multiply by A and add, as the authors write it; for
            comparison. Default: False.
    """

    def __init__(self,
                 channels: int,
                 out_channels: int,
                 cfg: dict,
                 plain: bool = False):
        super().__init__()
        hidden = max(8, out_channels // 8)
        self.plain = plain
        self.transition = ConvModule(channels, channels, 1, bias=True, **cfg)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)
        self.context = ConvModule(
            channels, out_channels, 3, padding=1, bias=True, **cfg)

    def forward(self, x: Tensor,
                attention: Optional[Tensor] = None) -> Tensor:
        """Enhance.

        Args:
            x (Tensor): ``(N, C, h, w)``.
            attention (Tensor, optional): ``(N, 1, h, w)``. Default: None.

        Returns:
            Tensor: ``(N, C', h, w)``.
        """
        x = self.transition(x)
        if attention is not None:
            if self.plain:
                x = x * attention + x
            else:
                x = torch.addcmul(x, x, attention)
        pooled = mean(x, (2, 3)).flatten(1)
        weight = self.fc2(torch.relu(self.fc1(pooled))).sigmoid()
        return self.context(x * weight[..., None, None])


class KnowledgeReview(BaseModule):
    r"""Compare a level with the finest one.

    Cross-layer knowledge review (CKRM). With f and g the change
    probabilities of the fine and the coarse level, the feature passes three
    enhancements (:class:`FeatureEnhancement`), with no attention, with the
    reverse attention :math:`1 - g`, and with the disagreement :math:`(1 - g)
    f + (1 - f) g`; their sum and the fine logit go through a 3x3 convolution.

    Args:
        channels (int): Of each level.
        cfg (dict): ``norm_cfg`` and ``act_cfg``.
        plain (bool): See :class:`FeatureEnhancement`. Default: False.
    """

    def __init__(self, channels: int, cfg: dict, plain: bool = False):
        super().__init__()
        self.feu = nn.ModuleList(
            FeatureEnhancement(2 * channels, channels, cfg, plain)
            for _ in range(3))
        self.fuse = ConvModule(
            channels + 1, channels, 3, padding=1, bias=True, **cfg)

    def forward(self, feature: Tensor, fine: Tensor,
                coarse: Tensor) -> Tensor:
        """Review.

        Args:
            feature (Tensor): Both levels, ``(N, 2C, h, w)``.
            fine (Tensor): Change logit of the fine level, ``(N, 1, h, w)``.
            coarse (Tensor): The same of the coarse level.

        Returns:
            Tensor: ``(N, C, h, w)``.
        """
        sure, other = fine.sigmoid(), coarse.sigmoid()
        reverse = 1 - other
        disagreement = reverse * sure + (1 - sure) * other
        enhanced = self.feu[0](feature)
        enhanced = enhanced + self.feu[1](feature, reverse)
        enhanced = enhanced + self.feu[2](feature, disagreement)
        return self.fuse(torch.cat([enhanced, fine], dim=1))


class TemporalDifference(BaseModule):
    """Learned difference of two dates, of AR-CDNet.

    Two parallel 3D convolutions of kernel (2, 3, 3) over the stack of the
    dates, each with norm and ReLU, summed. A kernel as deep as the stack is a
    2D convolution of the concatenation, so both are one 2D convolution.

    Args:
        channels (int): Of each date.
        cfg (dict): ``norm_cfg`` and ``act_cfg``.
    """

    def __init__(self, channels: int, cfg: dict):
        super().__init__()
        self.conv = ConvModule(
            2 * channels, 2 * channels, 3, padding=1, bias=True, **cfg)

    def forward(self, feat_from: Tensor, feat_to: Tensor) -> Tensor:
        """Two maps ``(N, C, h, w)`` to one."""
        first, second = self.conv(torch.cat([feat_from, feat_to],
                                            dim=1)).chunk(2, dim=1)
        return first + second


@MODELS.register_module()
class HardRegionHead(ChangeHead):
    r"""Review decoder with a branch that predicts where it is wrong.

    With :math:`p_k, p'_k` (k = 2 ... 5) the decoded levels of the dates:

    1. Difference: :math:`d_k = |p_k - p'_k|`, or learned
       (:class:`TemporalDifference`), as AR-CDNet has it.
    2. Hard region: the texture of an image is two 3x3 convolutions of stride
       2; :math:`b = FFM(d_2, |T - T'|)`, its logit says where the map is
       wrong.
    3. Levels resized to the finest one, a mask head each; the deeper ones
       are compared with the finest, :math:`v_k` (:class:`KnowledgeReview`).
    4. The final map of :math:`[d_2, v_3, v_4, v_5, b]`.

    .. math::
        L = \sum_{i} l(m_i, y) + \lambda l_{hard}(h, |y - \sigma(m)|)

    over the losses l of ``loss_decode`` and the five masks, the final one m
    first; no gradient flows through the target of the hard region. It is
    supervised where the label is.

    The detector passes the images on: ``with_images=True``.

    Args:
        in_channels (int): Channels of every level. Default: 64.
        num_levels (int): Levels of each date. Default: 4.
        image_channels (int | Sequence[int]): Bands of the images; where the
            dates differ, each has its own texture. Default: 3.
        difference (str): ``'absolute'``, or ``'learned'`` for AR-CDNet.
            Default: ``'absolute'``.
        attention (bool): Attention in FFM, for AR-CDNet. Default: False.
        loss_hard (dict, optional): A loss that takes soft labels. Default:
            None, :class:`~opencd_gold.models.ChangeCrossEntropyLoss`.
        hard_weight (float): :math:`\lambda`. Default: 1.
        align_corners (bool): Of every resize to the label. Default: True.
        plain (bool): See :class:`FeatureEnhancement`; also the texture of
            each date by its own call. For comparison. Default: False.
        kwargs: See :class:`ChangeHead`, but for ``dropout_ratio``: nothing
            is dropped.

    Raises:
        ValueError: For another difference.
    """

    def __init__(self,
                 in_channels: int = 64,
                 num_levels: int = 4,
                 image_channels: Union[int, Sequence[int]] = 3,
                 difference: str = 'absolute',
                 attention: bool = False,
                 loss_hard: Optional[dict] = None,
                 hard_weight: float = 1.,
                 align_corners: bool = True,
                 plain: bool = False,
                 **kwargs):
        super().__init__(
            in_channels,
            in_channels,
            dropout_ratio=0.,
            align_corners=align_corners,
            **kwargs)
        if difference not in ('absolute', 'learned'):
            raise ValueError("HardRegionHead: difference must be 'absolute' "
                             f"or 'learned', got {difference!r}")
        cfg = dict(norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        bands = [image_channels] * 2 if isinstance(
            image_channels, int) else list(image_channels)
        self.bands = tuple(bands)
        self.plain = plain
        self.hard_weight = hard_weight
        self.only_final = False
        self.loss_hard = MODELS.build(
            loss_hard or dict(type='ChangeCrossEntropyLoss'))
        self.texture = _texture(bands[0], in_channels, cfg)
        self.texture_to = None if bands[0] == bands[1] else _texture(
            bands[1], in_channels, cfg)
        learned = difference == 'learned'
        self.differences = nn.ModuleList(
            TemporalDifference(in_channels, cfg)
            for _ in range(num_levels)) if learned else None
        self.texture_difference = TemporalDifference(
            in_channels, cfg) if learned else None
        self.hard_ffm = FeatureFusion(in_channels, attention, **cfg)
        self.hard_head = MaskHead(in_channels, 1, cfg)
        self.side_heads = nn.ModuleList(
            MaskHead(in_channels, self.out_channels, cfg)
            for _ in range(num_levels))
        self.review = nn.ModuleList(
            KnowledgeReview(in_channels, cfg, plain)
            for _ in range(num_levels - 1))
        self.fuse = ConvModule(
            (num_levels + 1) * in_channels, in_channels, 1, bias=True, **cfg)
        self.final_conv = ConvModule(
            in_channels, in_channels, 3, padding=1, bias=True, **cfg)

    def switch_to_deploy(self) -> None:
        """Predict the change map alone, not the hard region."""
        self.only_final = True

    def _check_maps(self, maps: Sequence[Tensor], bands: int) -> None:
        """Refuse other maps of one date than its image and its levels."""
        levels = len(self.side_heads)
        found = channels_of((maps, ) if isinstance(maps, Tensor) else maps)
        if found[0] == self.in_channels != bands:
            raise ValueError(
                'HardRegionHead: expected the image before the levels, got '
                f'maps of {found} channels; the detector needs '
                'with_images=True')
        if len(found) != levels + 1:
            raise ValueError(
                f'HardRegionHead: expected num_levels={levels} levels after '
                f'the image, got {len(found) - 1}, maps of {found} channels')
        check_channels(
            self, (bands, *[self.in_channels] * levels),
            maps,
            name='(image_channels, in_channels, ...)')

    def _textures(self, image_from: Tensor, image_to: Tensor) -> List[Tensor]:
        """Texture of both images, ``(N, C, H / 4, W / 4)`` each."""
        if self.texture_to is not None:
            return [self.texture(image_from), self.texture_to(image_to)]
        if self.plain:
            return [self.texture(image_from), self.texture(image_to)]
        both = self.texture(torch.cat([image_from, image_to]))
        return list(dates_apart(both))

    def _compare_levels(self, levels_from: Sequence[Tensor],
                        levels_to: Sequence[Tensor]) -> List[Tensor]:
        """Differences of all levels, at the size of the finest."""
        pairs = zip(levels_from, levels_to)
        if self.differences is None:
            levels = [(a - b).abs() for a, b in pairs]
        else:
            levels = [
                module(a, b) for module, (a, b) in zip(
                    self.differences, pairs)
            ]
        size = levels[0].shape[-2:]
        return [resize_map(level, size, True) for level in levels]

    def forward(self, feat_from: Sequence[Tensor],
                feat_to: Sequence[Tensor]) -> BranchOutputs:
        """Compare two dates.

        Args:
            feat_from (Sequence[Tensor]): The image ``(N, B, H, W)``, then
                its levels ``(N, C, h_i, w_i)``, finest first.
            feat_to (Sequence[Tensor]): The same of the other date.

        Returns:
            BranchOutputs: ``logits`` ``(N, K, h, w)`` at the size of the
            finest level; ``extras`` holds the logits of the levels,
            ``side_0``, ``side_1``, ... (finest first), and ``hard``
            ``(N, 1, h, w)``; ``feat_from`` and ``feat_to`` are the finest
            levels.

        Raises:
            ValueError: If the images are missing or have other bands, or the
                levels are not as many or not as wide as expected.
        """
        for maps, bands in zip((feat_from, feat_to), self.bands):
            self._check_maps(maps, bands)
        levels = self._compare_levels(feat_from[1:], feat_to[1:])
        textures = self._textures(feat_from[0], feat_to[0])
        texture = ((textures[0] - textures[1]).abs()
                   if self.texture_difference is None else
                   self.texture_difference(*textures))
        hard = self.hard_ffm(levels[0], texture)
        hard = resize_map(hard, levels[0].shape[-2:], True)

        sides = [head(x) for head, x in zip(self.side_heads, levels)]
        fine, *coarse = map(change_logit, sides)
        reviewed = [
            review(torch.cat([levels[0], level], dim=1), fine, mask)
            for review, level, mask in zip(self.review, levels[1:], coarse)
        ]
        fused = self.fuse(torch.cat([levels[0], *reviewed, hard], dim=1))
        extras = {}
        if not self.only_final:
            extras = {f'side_{i}': side for i, side in enumerate(sides)}
            extras['hard'] = self.hard_head(hard)
        return BranchOutputs(
            feat_from=feat_from[1],
            feat_to=feat_to[1],
            fused=fused,
            logits=self.conv_seg(self.final_conv(fused)),
            extras=extras)

    def masks(self, outputs: BranchOutputs, size) -> Dict[str, Tensor]:
        """All logits resized to ``size``, float32.

        Args:
            outputs (BranchOutputs): Of :meth:`forward`.
            size (tuple[int, int]): H and W.

        Returns:
            dict[str, Tensor]: ``final``, ``side_0`` ... and ``hard``,
            ``(N, K, H, W)``; their sigmoid is what the authors' network
            returns.
        """
        named = dict(final=outputs.logits, **outputs.extras)
        stacked = self.upsample(torch.cat(list(named.values()), dim=1), size)
        widths = [logits.shape[1] for logits in named.values()]
        return dict(zip(named, stacked.split(widths, dim=1)))

    def loss_by_outputs(self, outputs: BranchOutputs,
                        target: Tensor) -> Dict[str, Tensor]:
        """Losses of the five masks and of the hard region."""
        masks = self.masks(outputs, target.shape[-2:])
        hard = masks.pop('hard')
        losses = {}
        for name, logits in masks.items():
            prefix = '' if name == 'final' else f'{name}.'
            for key, value in self.supervise(logits, target).items():
                losses[prefix + key] = value
        losses['loss_hard'] = self.hard_weight * self.loss_hard(
            hard,
            self.hard_target(masks['final'], target),
            ignore_index=self.ignore_index)
        return losses

    def hard_target(self, logits: Tensor, target: Tensor) -> Tensor:
        """How wrong a map is, without a gradient.

        Args:
            logits (Tensor): Of the map, ``(N, K, H, W)``.
            target (Tensor): ``(N, H, W)``, int64.

        Returns:
            Tensor: ``|y - p|``, or ``ignore_index`` where the label is;
            ``(N, H, W)`` float32.
        """
        prob = change_logit(logits.detach()).float().sigmoid().squeeze(1)
        return (target - prob).abs().where(target != self.ignore_index,
                                           float(self.ignore_index))


def _texture(bands: int, channels: int, cfg: dict) -> Sequential:
    """Two convolutions of stride 2 on an image."""
    return Sequential(
        *(ConvModule(
            width, out, 3, stride=2, padding=1, bias=True, **cfg)
          for width, out in ((bands, channels // 2),
                             (channels // 2, channels))))
