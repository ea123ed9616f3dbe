"""Detector whose dates interact inside of the encoder (Changer)."""
from typing import Optional, Sequence, Tuple

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor

from opencd_gold.models.layers import dates_apart, stages_of
from opencd_gold.registry import MODELS

from .bitemporal import BitemporalDetector, Pyramid, _build

Pair = Tuple[Tensor, Tensor]


class Identity(BaseModule):
    """Both dates as they are: a stage without interaction."""

    def forward(self, feat_from: Tensor, feat_to: Tensor) -> Pair:
        """Give back both maps."""
        return feat_from, feat_to


@MODELS.register_module()
class InteractingDetector(BitemporalDetector):
    """A bitemporal detector with an interaction after stages of the encoder.

    What an interaction gives is both a stage of the pyramid and the input of
    the next stage. The encoder is any that
    :func:`~opencd_gold.models.layers.stages_of` knows, one for both dates or
    one each. (Changer, https://arxiv.org/abs/2209.08290)

    Args:
        stage_interactions (Sequence[dict | None]): One for each stage of the
            encoder; None leaves a stage alone.
        kwargs: See :class:`BitemporalDetector`; ``compile_cfg`` is not for
            this detector. With ``batch_dates`` (the default) a stage runs
            both dates as one batch, and batch norm in training sees both
            together; the authors run them one after the other.

    Raises:
        TypeError: For an encoder that cannot be run stage by stage.
        ValueError: If the numbers of interactions and stages differ, or with
            ``compile_cfg``.
    """

    def __init__(self,
                 stage_interactions: Sequence[Optional[dict]],
                 compile_cfg: Optional[dict] = None,
                 **kwargs):
        if compile_cfg is not None:
            raise ValueError('InteractingDetector runs its encoder stage by '
                             'stage, expected compile_cfg=None, got '
                             f'{compile_cfg}')
        super().__init__(**kwargs)
        for encoder in (self.backbone, self.backbone_to):
            stages = 0 if encoder is None else len(stages_of(encoder))
            if stages not in (0, len(stage_interactions)):
                raise ValueError(
                    f'stage_interactions has {len(stage_interactions)} '
                    f'entries, expected {stages}, one for each stage of '
                    f'{type(encoder).__name__}')
        self.stage_interactions = ModuleList(
            Identity() if cfg is None else _build(cfg)
            for cfg in stage_interactions)

    def encode_pair(self, img_from: Tensor,
                    img_to: Tensor) -> Tuple[Pyramid, Pyramid]:
        """Stages of both dates, each after its interaction.

        Args:
            img_from (Tensor): ``(N, C_from, H, W)``.
            img_to (Tensor): ``(N, C_to, H, W)``.

        Returns:
            tuple: Two tuples of ``(N, C_i, h_i, w_i)``, finest first.
        """
        shared = self.backbone_to is None
        stages = stages_of(self.backbone)
        stages_to = stages if shared else stages_of(self.backbone_to)
        pair, pyramids = (img_from, img_to), []
        for run, run_to, interact in zip(stages, stages_to,
                                         self.stage_interactions):
            if shared and self.batch_dates:
                pair = dates_apart(run(torch.cat(pair)))
            else:
                pair = run(pair[0]), run_to(pair[1])
            pair = interact(*pair)
            pyramids.append(pair)
        chosen = (pyramids[i] for i in self.backbone.out_indices)
        return tuple(zip(*chosen))
