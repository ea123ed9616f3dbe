"""Heads that compare dates."""
from .attention_transfer_head import AttentionTransferHead
from .change_head import ChangeHead, stack_labels
from .mix_ffn_head import MixFFNHead

__all__ = [
    'AttentionTransferHead', 'ChangeHead', 'MixFFNHead', 'stack_labels'
]
