"""GOLD's head: a gate from both dates, fusion, classification."""
import torch
from mmcv.cnn import ConvModule, build_activation_layer, build_norm_layer
from torch import Tensor, nn

from opencd_gold.models.layers import check_channels, conv_over_parts
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

from .change_head import ChangeHead


@MODELS.register_module()
class AttentionTransferHead(ChangeHead):
    """Head of GOLD, whose features and maps the distillation compares.

    1. ``x``: the dates concatenated.
    2. ``gate = sigmoid(conv1x1(relu(bn(conv3x3(x)))))``, one channel.
    3. ``fused = relu(bn(conv3x3([x, gate])))``, two times the channels: the
       gate is one more channel and multiplies nothing, as in the authors'
       weights.
    4. ``logits = conv1x1(relu(bn(conv3x3(dropout(fused)))))`` at the
       resolution of the features.

    Args:
        in_channels (int): Channels of each date.
        num_inputs (int): Feature maps that are compared: two dates, or three
            where a privileged teacher also sees the guide. Default: 2.
        element_dropout (bool): Drop single elements, as the authors' teacher
            does, instead of channels. Default: False.
        plain (bool): Concatenate before each convolution instead of
            splitting its kernels; for comparison. Default: False.
        kwargs: See :class:`ChangeHead`.
    """

    def __init__(self,
                 in_channels: int,
                 num_inputs: int = 2,
                 element_dropout: bool = False,
                 plain: bool = False,
                 **kwargs):
        super().__init__(in_channels, channels=in_channels, **kwargs)
        self.num_inputs = num_inputs
        self.plain = plain
        width = num_inputs * in_channels
        act = self.act_cfg
        self.gate = nn.Sequential(
            nn.Conv2d(width, in_channels, 3, padding=1),
            build_norm_layer(self.norm_cfg, in_channels)[1],
            build_activation_layer(act), nn.Conv2d(in_channels, 1, 1),
            nn.Sigmoid())
        self.fusion = ConvModule(
            width + 1,
            2 * in_channels,
            3,
            padding=1,
            bias=True,
            norm_cfg=self.norm_cfg,
            act_cfg=act)
        self.cls = nn.Sequential(
            nn.Conv2d(2 * in_channels, in_channels, 3, padding=1),
            build_norm_layer(self.norm_cfg, in_channels)[1],
            build_activation_layer(act))
        if element_dropout and self.dropout is not None:
            self.dropout = nn.Dropout(self.dropout_ratio)

    def switch_to_deploy(self) -> None:
        """On a CPU, predicting is faster with one wide convolution."""
        self.plain = True

    def forward(self, *feats: Tensor) -> BranchOutputs:
        """Compare dates.

        Args:
            feats (Tensor): ``num_inputs`` maps ``(N, C, h, w)``: first date,
                other date and, for a privileged teacher, one more.

        Returns:
            BranchOutputs: ``fused`` is ``(N, 2C, h, w)``; ``extras`` holds
            ``gate`` ``(N, 1, h, w)`` and ``concat`` ``(N, num_inputs * C,
            h, w)``.

        Raises:
            ValueError: If the number of maps differs from ``num_inputs``, or
                their channels from ``in_channels``.
        """
        if len(feats) != self.num_inputs:
            raise ValueError(
                f'AttentionTransferHead: num_inputs={self.num_inputs}, got '
                f'{len(feats)} feature maps')
        check_channels(self, self.in_channels, *feats)
        concat = torch.cat(feats, dim=1)
        gate = self.gate(concat)
        if self.plain:
            # Strides of one channel say nothing of the memory format; these
            # let the concatenation stay channels-last.
            channel = gate.squeeze(1).unsqueeze(-1).permute(0, 3, 1, 2)
            fused = self.fusion(torch.cat([concat, channel], dim=1))
        else:
            fused = conv_over_parts(self.fusion.conv, (concat, gate))
            fused = self.fusion.activate(self.fusion.norm(fused))
        hidden = fused if self.dropout is None else self.dropout(fused)
        return BranchOutputs(
            feat_from=feats[0],
            feat_to=feats[1],
            fused=fused,
            logits=self.conv_seg(self.cls(hidden)),
            extras=dict(gate=gate, concat=concat))
