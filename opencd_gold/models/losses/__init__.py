"""Supervision, distillation, and how their terms are weighed."""
from .alignment import (
    FeatureAlignLoss,
    FeatureConsistencyLoss,
    FeatureKLLoss,
)
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
from .hard_pixels import HardPixelCrossEntropyLoss
from .pyramid_distill import (
    PyramidAlignLoss,
    PyramidAttentionLoss,
    PyramidFeatureLoss,
)
from .teacher_logits import TeacherDivergenceLoss, TeacherSquareLoss
from .weighting import FixedWeighting, LossWeighting, UncertaintyWeighting

__all__ = [
    'AttentionTransferLoss', 'ChangeCrossEntropyLoss', 'ChangeDiceLoss',
    'DistillLoss', 'FeatureAlignLoss', 'FeatureConsistencyLoss',
    'FeatureDistillLoss', 'FeatureKLLoss', 'FixedWeighting',
    'GuideAlignLoss', 'HardPixelCrossEntropyLoss', 'LogitDistillLoss',
    'LossWeighting', 'PyramidAlignLoss', 'PyramidAttentionLoss',
    'PyramidFeatureLoss', 'RegionAwareDistillLoss',
    'TeacherDivergenceLoss', 'TeacherSquareLoss', 'UncertaintyWeighting'
]
