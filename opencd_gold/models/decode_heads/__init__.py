"""Heads that compare dates."""
from .attention_transfer_head import AttentionTransferHead
from .change_head import ChangeHead, stack_labels
from .hard_region_head import HardRegionHead
from .mix_ffn_head import MixFFNHead
from .sgsln_head import SGSLNHead
from .spatio_temporal_head import SpatioTemporalDifferenceHead

__all__ = [
    'AttentionTransferHead', 'ChangeHead', 'HardRegionHead', 'MixFFNHead',
    'SGSLNHead', 'SpatioTemporalDifferenceHead', 'stack_labels'
]
