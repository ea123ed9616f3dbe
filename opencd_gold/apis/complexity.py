"""Parameters and multiply-adds of a detector."""
from typing import Dict, Tuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model: nn.Module) -> Dict[str, int]:
    """Parameters by part.

    Args:
        model (nn.Module): A detector.

    Returns:
        dict[str, int]: Of each child that has any; under ``'training'`` their
        sum, and under ``'prediction'`` without the parts that only training
        needs (``training_only``).
    """
    parts = {
        name: sum(p.numel() for p in child.parameters())
        for name, child in model.named_children()
    }
    parts = {name: count for name, count in parts.items() if count}
    left_out = getattr(model, 'training_only', ())
    total = sum(p.numel() for p in model.parameters())
    unused = sum(parts.get(name, 0) for name in left_out)
    return {**parts, 'training': total, 'prediction': total - unused}


def count_multiply_adds(model: nn.Module,
                        size: Tuple[int, int]) -> Dict[str, int]:
    """Multiply-adds of one prediction, by part.

    Counted while it runs, by ``torch.utils.flop_counter``: convolutions,
    matrix products and attention, in the form in which the model computes
    them. A count from the layers alone would miss convolutions with parts of
    a kernel. Normalisation, activations and resizing are not counted.

    Args:
        model (nn.Module): A detector.
        size (tuple[int, int]): Of the image, height and width.

    Returns:
        dict[str, int]: Of each child that has any, and under ``'prediction'``
        of all. Half of what the counter calls floating-point operations.
    """
    bands = sum(model.data_preprocessor.channels[:2])
    weight = next(model.parameters())
    image = torch.zeros(1, bands, *size, device=weight.device)
    training = model.training
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(image, mode='tensor')
    model.train(training)
    parts, counts = {}, counter.get_flop_counts()
    for name, _ in model.named_children():
        found = sum(counts.get(f'{type(model).__name__}.{name}', {}).values())
        if found:
            parts[name] = found // 2
    return {**parts, 'prediction': counter.get_total_flops() // 2}
