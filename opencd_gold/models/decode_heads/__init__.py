"""Heads that compare dates."""
from .attention_transfer_head import AttentionTransferHead
from .change_head import ChangeHead, stack_labels
from .mix_ffn_head import MixFFNHead
from .spatio_temporal_head import SpatioTemporalDifferenceHead

__all__ = [
    'AttentionTransferHead', 'ChangeHead', 'MixFFNHead',
    'SpatioTemporalDifferenceHead', 'stack_labels'
]
