"""Optimizer wrappers that mmengine lacks."""
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from opencd_gold.registry import OPTIM_WRAPPERS, OPTIMIZERS


@OPTIM_WRAPPERS.register_module()
class Bf16OptimWrapper(OptimWrapper):
    """Training in bfloat16 autocast, on a CPU as well as on a GPU.

    mmengine's ``AmpOptimWrapper`` refuses a CPU. bfloat16 has the exponent
    range of float32, so no loss scaler is needed; weights, gradients and
    optimizer state stay float32. Arguments are those of
    :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Autocast the forward pass and the losses.

        Args:
            model (nn.Module): The model to train; its first parameter says
                on which device.
        """
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(
                device, dtype=torch.bfloat16):
            yield


@OPTIMIZERS.register_module()
class FusedAdamW(torch.optim.AdamW):
    """AdamW that passes over the memory once, where torch can.

    On a CPU that takes torch 2.4 or newer; elsewhere it is AdamW as it is.
    Equal up to rounding, and checkpoints go from one to the other.

    Args:
        params (Iterable): Parameters or parameter groups.
        kwargs: Those of :class:`torch.optim.AdamW` but ``fused`` and
            ``foreach``.
    """

    def __init__(self, params, **kwargs):
        params = list(params)
        try:
            super().__init__(params, fused=True, **kwargs)
        except RuntimeError:
            super().__init__(params, **kwargs)
