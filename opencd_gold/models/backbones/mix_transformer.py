"""mmsegmentation's MiT with the norms and initial values of SegFormer."""
from typing import Dict, Optional

from mmengine.logging import print_log
from mmengine.model.weight_init import trunc_normal_
from mmengine.runner.checkpoint import CheckpointLoader
from mmseg.models.backbones import MixVisionTransformer
from torch import Tensor, nn

from opencd_gold.models.layers import fit_bands
from opencd_gold.registry import MODELS

_STEM = 'layers.0.0.projection.weight'


@MODELS.register_module()
class MixTransformer(MixVisionTransformer):
    """mmsegmentation's MiT, which differs in four points.

    - The norms of the patch embeddings and of the reduced keys have their own
      epsilon. Weights of SegFormer (https://arxiv.org/abs/2105.15203), also
      those that mmsegmentation gives out, were trained with 1e-5 there and
      1e-6 elsewhere; mmsegmentation has one for all.
    - From scratch, the matrices of queries, keys and values start as the
      other linear layers do (truncated normal, 0.02).
    - ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix=...)`` must
      bring every weight. Kernels for three bands are fitted to
      ``in_channels``, see :func:`~opencd_gold.models.layers.fit_bands`.
    - Stages can be frozen.

    Args:
        in_channels (int): Bands of the image. Default: 3.
        embed_norm_eps (float): Epsilon of the norms named above. Default:
            1e-5.
        frozen_stages (int): As many stages keep their weights and have no
            dropout; -1 or 0 freezes nothing. Default: -1.
        kwargs: Those of :class:`mmseg.models.MixVisionTransformer`.
    """

    def __init__(self,
                 in_channels: int = 3,
                 embed_norm_eps: float = 1e-5,
                 frozen_stages: int = -1,
                 **kwargs):
        super().__init__(in_channels=in_channels, **kwargs)
        self.in_channels = in_channels
        self.frozen_stages = frozen_stages
        for embed, blocks, _ in self.layers:
            embed.norm.eps = embed_norm_eps
            for block in blocks:
                if block.attn.sr_ratio > 1:
                    block.attn.norm.eps = embed_norm_eps
        self._freeze()

    def _freeze(self) -> None:
        for stage in self.layers[:max(self.frozen_stages, 0)]:
            stage.eval()
            stage.requires_grad_(False)

    def train(self, mode: bool = True):
        """Set the mode, but keep frozen stages in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    def init_weights(self) -> None:
        """Load what ``init_cfg`` names, or start from scratch.

        Raises:
            ValueError: If the checkpoint lacks a weight.
        """
        cfg = self.init_cfg
        if isinstance(cfg, dict) and cfg['type'] == 'Pretrained':
            self._load_pretrained(cfg['checkpoint'], cfg.get('prefix'))
            return
        super().init_weights()
        if cfg is None:
            for module in self.modules():
                if isinstance(module, nn.MultiheadAttention):
                    trunc_normal_(module.in_proj_weight, std=.02)

    def _load_pretrained(self, checkpoint: str,
                         prefix: Optional[str]) -> None:
        loaded = CheckpointLoader.load_checkpoint(
            checkpoint, map_location='cpu')
        found: Dict[str, Tensor] = loaded.get('state_dict', loaded)
        state = found
        if prefix is not None:
            start = prefix.rstrip('.') + '.'
            state = {
                key[len(start):]: value
                for key, value in found.items() if key.startswith(start)
            }
        own = self.state_dict()
        if _STEM in state:
            state = {
                **state, _STEM: fit_bands(state[_STEM], self.in_channels)
            }
        wrong = [
            key for key, value in own.items()
            if key not in state or state[key].shape != value.shape
        ]
        if wrong:
            raise ValueError(
                f'{checkpoint} (prefix={prefix!r}): {len(wrong)} of '
                f'{len(own)} weights of {type(self).__name__} are missing '
                f'or of another shape, first {wrong[:3]}; the file begins '
                f'with {list(found)[:3]}')
        self.load_state_dict({key: state[key] for key in own})
        print_log(
            f'{type(self).__name__}: {len(own)} weights of {checkpoint}, '
            f'{len(state) - len(own)} of the file not used',
            logger='current')
