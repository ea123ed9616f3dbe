"""Supervision, distillation, and how their terms are weighed."""
from .cross_entropy import ChangeCrossEntropyLoss
from .dice import ChangeDiceLoss
from .distill import (
    AttentionTransferLoss,
    DistillLoss,
    FeatureDistillLoss,
    LogitDistillLoss,
    RegionAwareDistillLoss,
)
from .guide_align import GuideAlignLoss
from .pyramid_distill import (
    PyramidAlignLoss,
    PyramidAttentionLoss,
    PyramidFeatureLoss,
)
from .weighting import FixedWeighting, LossWeighting, UncertaintyWeighting

__all__ = [
    'AttentionTransferLoss', 'ChangeCrossEntropyLoss', 'ChangeDiceLoss',
    'DistillLoss', 'FeatureDistillLoss', 'FixedWeighting', 'GuideAlignLoss',
    'LogitDistillLoss', 'LossWeighting', 'PyramidAlignLoss',
    'PyramidAttentionLoss', 'PyramidFeatureLoss', 'RegionAwareDistillLoss',
    'UncertaintyWeighting'
]
