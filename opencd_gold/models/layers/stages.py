"""An encoder as a list of functions, one a stage.

So that something can act between the stages without a second copy of the
encoder. Another encoder joins with one function::

    @stages_of.register
    def _(backbone: MyBackbone):
        return [backbone.first, backbone.second]
"""
from functools import partial, singledispatch
from typing import Callable, List, Sequence

from mmseg.models.backbones import MixVisionTransformer, ResNet
from mmseg.models.utils import nlc_to_nchw
from torch import Tensor, nn

Stage = Callable[[Tensor], Tensor]


@singledispatch
def stages_of(backbone: nn.Module) -> List[Stage]:
    """Stages of an encoder, that in turn do what its ``forward`` does.

    Args:
        backbone (nn.Module): With ``out_indices``, which stages it returns.

    Returns:
        list[Callable]: Each takes the map ``(N, C, H, W)`` of the stage
        before it, the first one the image.

    Raises:
        TypeError: For an encoder whose stages are not known.
    """
    raise TypeError(
        f'{type(backbone).__name__} cannot be run stage by stage: expected '
        "mmseg's ResNet or MixVisionTransformer, EfficientNetLite, or a class "
        'that is registered with stages_of')


def _chain(modules: Sequence[Stage], x: Tensor) -> Tensor:
    for module in modules:
        x = module(x)
    return x


@stages_of.register
def _(backbone: ResNet) -> List[Stage]:
    stem = ([backbone.stem] if backbone.deep_stem else
            [backbone.conv1, backbone.norm1, backbone.relu])
    first, *others = (getattr(backbone, name) for name in backbone.res_layers)
    return [partial(_chain, [*stem, backbone.maxpool, first]), *others]


@stages_of.register
def _(backbone: MixVisionTransformer) -> List[Stage]:

    def run(parts: nn.ModuleList, x: Tensor) -> Tensor:
        embed, blocks, norm = parts
        x, size = embed(x)
        for block in blocks:
            x = block(x, size)
        return nlc_to_nchw(norm(x), size)

    return [partial(run, parts) for parts in backbone.layers]
