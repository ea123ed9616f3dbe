r"""HeteCD's head: 3D spatio-temporal attention on the difference of dates.

1. Each stage of both encoders is embedded by one 1x1 convolution.
2. A difference block for each stage compares the dates, see
   :class:`SpatioTemporalDifference`.
3. Differences are summed from coarse to fine, concatenated, fused, refined
   by two residual blocks and classified, at the resolution of the finest
   stage.

Reference: Jing et al., HeteCD, ISPRS Journal of Photogrammetry and Remote
Sensing 223 (2025) 317-327, https://doi.org/10.1016/j.isprsjprs.2025.03.008
"""
from typing import Sequence, Tuple

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, build_activation_layer, build_norm_layer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from opencd_gold.compat import is_compiling
from opencd_gold.models.layers import (
    add,
    check_channels,
    conv_over_scales,
    resize_map,
)
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

from .change_head import ChangeHead

# Depth of a block of the 3D convolutions: 16 channels in, 14 of them whole.
_BLOCK = 16
# Numbers that a tensor of the fast form may hold before samples take turns:
# one sample of 512x512 pixels at stride 4 and depth 512.
_AT_ONCE = 2**23


class _ConvActNorm(nn.Module):
    """Convolution, activation, and only then the norm.

    The norm is registered first, so that no tool takes it for one that
    follows the convolution and folds it in.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int,
                 norm_cfg: dict, act_cfg: dict):
        super().__init__()
        self.bn = build_norm_layer(norm_cfg, out_channels)[1]
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.act = build_activation_layer(act_cfg)

    def finish(self, x: Tensor) -> Tensor:
        """What follows the convolution."""
        return self.bn(self.act(x))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, h, w)`` to ``(N, C', h, w)``."""
        return self.finish(self.conv(x))


class SpatioTemporalDifference(nn.Module):
    r"""Compare two dates with 3D convolutions and attention in depth.

    1. Channels of the dates are interleaved (a0, b0, a1, b1, ...); these D =
       2 C channels are the depth of a volume with one feature.
    2. Three 3D convolutions, kernels (3, k, k) with k = 3, 5, 7, GELU. Each
       volume on its own:
    3. "temporal" attention: ``m = u * softmax_depth(W u + b)``, one W for the
       three; no residual, so values shrink by about D;
    4. spatial attention: ``g = m * sigmoid(conv7x7(m))``, one for the three.
    5. The three are concatenated: 3x3 convolution to D channels, ReLU, norm,
       dropout; 1x1 convolution to C channels, ReLU, norm, dropout.

    A volume is as large as a map of 2 C channels, and the plain form keeps
    sixteen of them for the backward pass. The default form computes the same,
    up to rounding, with less:

    - The 3D convolution has one channel in and one out, a shape that no
      library is quick with. Here it is a 2D convolution of 16 neighbouring
      channels to the 14 whose neighbours are all among them, the kernel
      repeated along a band of its weight.
    - The 7x7 convolution to one channel is a 1x1 convolution to 49, shifted
      and added.
    - The 3x3 convolution of the concatenation is the sum of those of its
      parts, so the volumes are made one after another, and in training made
      anew in the backward pass (:mod:`torch.utils.checkpoint`, which stops
      before it repeats the 3x3 convolution). Large batches go sample by
      sample.

    An exported or compiled block has the plain form, whose operations every
    format knows.

    Args:
        channels (int): C of each date and of the result.
        dropout_ratio (float): Channel dropout. Default: 0.1.
        norm_cfg (dict): Default: None, batch normalisation.
        act_cfg (dict): Default: None, ReLU.
        plain (bool): Compute in the order of the description above, for
            comparison. Default: False.
    """

    kernel_sizes = (3, 5, 7)

    def __init__(self,
                 channels: int,
                 dropout_ratio: float = 0.1,
                 norm_cfg: dict = None,
                 act_cfg: dict = None,
                 plain: bool = False):
        super().__init__()
        norm_cfg = norm_cfg or dict(type='BN')
        act_cfg = act_cfg or dict(type='ReLU')
        depth = 2 * channels
        self.depth = depth
        self.plain = plain
        self.conv3d = nn.ModuleList(
            nn.Conv3d(1, 1, (3, size, size), padding=(1, size // 2, size // 2))
            for size in self.kernel_sizes)
        self.temporal = nn.Conv1d(depth, depth, 1)
        self.spatial = nn.Conv2d(depth, 1, 7, padding=3, bias=False)
        self.fuse = _ConvActNorm(3 * depth, depth, 3, norm_cfg, act_cfg)
        self.reduce = _ConvActNorm(depth, channels, 1, norm_cfg, act_cfg)
        self.dropout = nn.Dropout2d(dropout_ratio)
        whole = _BLOCK - 2
        band = torch.zeros(whole, _BLOCK, 3)
        for index in range(whole):
            band[index, index:index + 3] = torch.eye(3)
        self.register_buffer('band', band.view(-1, 3), persistent=False)

    def volume(self, x: Tensor, index: int) -> Tensor:
        """GELU of one 3D convolution, see the class.

        Args:
            x (Tensor): Interleaved dates, ``(N, D, h, w)``.
            index (int): Which of ``kernel_sizes``.

        Returns:
            Tensor: ``(N, D, h, w)``.
        """
        conv = self.conv3d[index]
        count, _, *size = x.shape
        whole = _BLOCK - 2
        blocks = -(-self.depth // whole)
        x = F.pad(x, (0, 0, 0, 0, 1, blocks * whole + 1 - self.depth))
        x = x.unfold(1, _BLOCK, whole).permute(0, 1, 4, 2, 3)
        kernel = conv.weight.flatten(0, 2).flatten(1)
        kernel = (self.band @ kernel).view(whole, _BLOCK,
                                           *conv.kernel_size[1:])
        x = F.conv2d(
            x.reshape(-1, _BLOCK, *size),
            kernel,
            conv.bias.expand(whole),
            padding=conv.padding[1:])
        return F.gelu(x).view(count, -1, *size)[:, :self.depth]

    def attend(self, x: Tensor, index: int) -> Tensor:
        """One volume after both attentions, ``(N, D, h, w)``.

        Args:
            x (Tensor): Interleaved dates, ``(N, D, h, w)``.
            index (int): Which of ``kernel_sizes``.
        """
        volume = self.volume(x, index).flatten(2)
        count = len(volume)
        # matmul would transpose the volume, to save memory in its backward.
        matrix = self.temporal.weight.squeeze(2).expand(count, -1, -1)
        scores = torch.baddbmm(
            self.temporal.bias.unsqueeze(1), matrix, volume)
        mixed = volume * scores.softmax(dim=1)
        # In a transposed convolution the kernel is mirrored.
        kernel = self.spatial.weight.flatten(2).squeeze(0).t().flip(0)
        columns = torch.bmm(kernel.expand(count, -1, -1), mixed).float()
        gate = F.fold(columns, x.shape[-2:], 7, padding=3).to(mixed.dtype)
        return mixed.view_as(x) * gate.sigmoid()

    def attend_plain(self, x: Tensor) -> Tensor:
        """All volumes after both attentions, ``(N, 3 D, h, w)``, plainly."""
        features = [F.gelu(conv(x.unsqueeze(1))) for conv in self.conv3d]
        volumes = torch.cat(features, dim=1).flatten(0, 1)
        columns = volumes.flatten(2)
        columns = columns * self.temporal(columns).softmax(dim=1)
        volumes = columns.view_as(volumes)
        volumes = volumes * self.spatial(volumes).sigmoid()
        # len() would fix the batch of an exported model.
        return volumes.view(x.shape[0], -1, *x.shape[-2:])

    def _part(self, x: Tensor, index: int) -> Tensor:
        """One volume's share of the 3x3 convolution, bias in the first."""
        conv = self.fuse.conv
        kernel = conv.weight.split(self.depth, dim=1)[index]
        return F.conv2d(
            self.attend(x, index),
            kernel,
            conv.bias if index == 0 else None,
            padding=conv.padding)

    def _fused(self, x: Tensor) -> Tensor:
        """The 3x3 convolution of all volumes, ``(N, D, h, w)``."""
        total = None
        for index in range(len(self.conv3d)):
            if torch.is_grad_enabled():
                part = checkpoint(
                    self._part,
                    x,
                    index,
                    use_reentrant=False,
                    preserve_rng_state=False)
            else:
                part = self._part(x, index)
            total = part if total is None else add(total, part)
        return total

    def forward(self, first: Tensor, other: Tensor) -> Tensor:
        """Compare two dates.

        Args:
            first (Tensor): ``(N, C, h, w)``.
            other (Tensor): Same shape.

        Returns:
            Tensor: ``(N, C, h, w)``.
        """
        x = torch.stack((first, other), dim=2).flatten(1, 2).contiguous()
        if self.plain or is_compiling():
            x = self.fuse(self.attend_plain(x))
        else:
            samples = max(_AT_ONCE * len(x) // x.numel(), 1)
            parts = [self._fused(part) for part in x.split(samples)]
            x = self.fuse.finish(
                parts[0] if len(parts) == 1 else torch.cat(parts))
        return self.dropout(self.reduce(self.dropout(x)))


class _Residual(nn.Module):
    """``x + 0.1 conv3x3(relu(conv3x3(x)))``, no norm."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.1 * self.conv2(F.relu(self.conv1(x)))


@MODELS.register_module()
class SpatioTemporalDifferenceHead(ChangeHead):
    """Head of HeteCD; takes the stages of both encoders, without a neck.

    See the module. Where the authors' code enlarges coarse maps twofold, and
    so fails on sizes that are no multiples of 32, maps are resized to the
    next scale here, which is the same for multiples of 32.

    Args:
        in_channels (Sequence[int]): Channels of the stages, finest first,
            the same for both dates.
        channels (int): Embedding width. Default: 256.
        hidden_channels (int, optional): Between the two last convolutions,
            with a ReLU. The authors' two are both zero at many pixels, whose
            logits then are all alike. Default: None, one a class, as
            published.
        plain (bool): Compute every part in the order of its description,
            for comparison. Default: False.
        dropout_ratio (float): Of whole positions after the embedding, and of
            channels in the difference blocks. Default: 0.1.
        kwargs: See :class:`ChangeHead`.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 channels: int = 256,
                 hidden_channels: int = None,
                 plain: bool = False,
                 **kwargs):
        super().__init__(channels, channels=channels, **kwargs)
        self.in_channels = tuple(in_channels)
        self.plain = plain
        hidden_channels = hidden_channels or self.num_classes
        self.embeds = nn.ModuleList(
            nn.Conv2d(width, channels, 1) for width in self.in_channels)
        self.diffs = nn.ModuleList(
            SpatioTemporalDifference(channels, self.dropout_ratio,
                                     self.norm_cfg, self.act_cfg, plain)
            for _ in self.in_channels)
        self.fusion = ConvModule(
            channels * len(self.in_channels),
            channels,
            1,
            bias=True,
            norm_cfg=self.norm_cfg,
            act_cfg=None)
        self.refine = nn.Sequential(_Residual(channels), _Residual(channels))
        self.pred = _ConvActNorm(channels, hidden_channels, 3, self.norm_cfg,
                                 self.act_cfg)
        self.conv_seg = nn.Conv2d(
            hidden_channels, self.out_channels, 3, padding=1)

    def _embed(self, x: Tensor, stage: int) -> Tensor:
        """Embed one date; in training whole positions are dropped."""
        x = self.embeds[stage](x)
        if not self.training:
            return x
        kept = F.dropout(x.new_ones(len(x), 1, *x.shape[-2:]),
                         self.dropout_ratio)
        return x * kept

    def _fuse(self, scales: Tuple[Tensor, ...]) -> Tensor:
        """Maps of all scales, coarsest first, to one."""
        size = scales[-1].shape[-2:]
        if self.plain:
            return self.fusion(
                torch.cat([resize_map(x, size) for x in scales], dim=1))
        return self.fusion.norm(
            conv_over_scales(self.fusion.conv, scales, size))

    def forward(self, feat_from: Sequence[Tensor],
                feat_to: Sequence[Tensor]) -> BranchOutputs:
        """Compare two dates.

        Args:
            feat_from (Sequence[Tensor]): Stages of the first date,
                ``(N, C_i, h_i, w_i)``, finest first.
            feat_to (Sequence[Tensor]): Stages of the other date.

        Returns:
            BranchOutputs: ``fused`` is ``(N, channels, h_0, w_0)``;
            ``feat_from`` and ``feat_to`` are the finest stages.

        Raises:
            ValueError: If the stages are not those of ``in_channels``.
        """
        check_channels(self, self.in_channels, feat_from, feat_to)
        scales = []
        for stage in reversed(range(len(self.in_channels))):
            scale = self.diffs[stage](
                self._embed(feat_from[stage], stage),
                self._embed(feat_to[stage], stage))
            if scales:
                scale = scale + resize_map(scales[-1], scale.shape[-2:])
            scales.append(scale)
        fused = self.refine(self._fuse(tuple(scales)))
        return BranchOutputs(
            feat_from=feat_from[0],
            feat_to=feat_to[0],
            fused=fused,
            logits=self.conv_seg(self.pred(fused)))
