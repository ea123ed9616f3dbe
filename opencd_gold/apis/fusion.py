"""A model in the form that predicts fastest."""
import torch
from mmcv.cnn import ConvModule, fuse_conv_bn, is_norm
from mmseg.models.backbones.resnet import BasicBlock, Bottleneck
from torch import nn

from opencd_gold.models.layers import ConvReLU2d, ResidualReLU


def prepare_for_inference(model: nn.Module) -> nn.Module:
    """Fold and fuse a trained detector; the result cannot be trained.

    1. Batch norms into the convolutions before them.
    2. On a CPU, ReLUs into the convolutions before them.
    3. Parts that know a faster form for prediction switch to it
       (``switch_to_deploy``).
    4. With ``test_cfg.precision='bfloat16'``, the weights of convolutions
       are stored so, instead of cast in every call.

    Logits agree with those before up to rounding. The state dict is another:
    load a checkpoint first.

    Args:
        model (nn.Module): A detector on its device, changed in place.

    Raises:
        ValueError: If the logits of a probe differ from those before.

    Returns:
        nn.Module: ``model``, in evaluation mode, without gradients.
    """
    before = _probe(model.eval())
    fuse_conv_bn(model).requires_grad_(False)
    if before.device.type == 'cpu':
        for module in model.modules():
            if hasattr(module, 'switch_to_deploy'):
                module.switch_to_deploy()
        for module in list(model.modules()):
            _fuse_relu(module)
    error = (_probe(model) - before).abs().max() / before.abs().max()
    if not error < 1e-2:
        raise ValueError(
            f'{type(model).__name__} cannot be fused: its logits change by '
            f'{error:.1%}. A part of it does not call its layers in the '
            'order in which it holds them')
    if model.test_cfg.get('precision') == 'bfloat16':
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.to(torch.bfloat16)
    return model


@torch.no_grad()
def _probe(model: nn.Module) -> torch.Tensor:
    """Float32 logits of one small image of noise."""
    weight = next(model.parameters())
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, sum(model.channels[:2]), 64, 64,
                        generator=generator).to(weight)
    return model.forward_branch(image).logits


def _fuse_relu(module: nn.Module) -> None:
    """Fuse convolutions and ReLUs that follow each other in ``module``."""
    for name, child in module.named_children():
        if type(child) in (BasicBlock, Bottleneck) and not _has_norms(child):
            setattr(module, name, _fuse_block(child))
    if isinstance(module, ConvModule):
        if (tuple(module.order) == ('conv', 'norm', 'act')
                and module.with_activation and not _has_norms(module)
                and isinstance(module.activate, nn.ReLU)
                and ConvReLU2d.fits(module.conv)):
            module.conv = ConvReLU2d.from_conv(module.conv)
            module.activate = nn.Identity()
    elif isinstance(module, nn.Sequential):
        last = None
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU) and last is not None:
                setattr(module, last,
                        ConvReLU2d.from_conv(getattr(module, last)))
                setattr(module, name, nn.Identity())
            if not isinstance(child, nn.Identity):
                last = name if ConvReLU2d.fits(child) else None


def _fuse_block(block: nn.Module) -> nn.Module:
    """A residual block of mmseg's ResNet, fused if its parts allow."""
    names = ('conv1', 'conv2', 'conv3')[:2 if type(block) is BasicBlock else 3]
    convs = [getattr(block, name) for name in names]
    if getattr(block, 'with_plugins', False) or not all(
            map(ConvReLU2d.fits, convs)):
        return block
    return ResidualReLU([ConvReLU2d.from_conv(conv) for conv in convs],
                        block.downsample)


def _has_norms(module: nn.Module) -> bool:
    return any(map(is_norm, module.modules()))
