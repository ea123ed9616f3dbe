"""Random state of a process, as something a checkpoint may hold."""
import random
from contextlib import contextmanager
from typing import Dict, Iterator, List

import numpy as np
import torch

# States of the blocks of kept_random_state that are open, outermost first.
_kept: List[Dict[str, object]] = []


def capture_random_state() -> Dict[str, object]:
    """Read the state of every generator that training draws from.

    Returns:
        dict: ``python``, ``numpy``, ``torch`` and, where CUDA is, ``cuda``;
        tensors and plain containers alone, so a checkpoint that holds it is
        still read without running code.
    """
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    state = dict(
        python=(version, torch.tensor(words, dtype=torch.int64), gauss),
        numpy=(str(kind), torch.from_numpy(keys.astype(np.int64)),
               int(position), int(has_gauss), float(cached)),
        torch=torch.get_rng_state())
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: Dict[str, object]) -> None:
    """Go on where :func:`capture_random_state` was called.

    Args:
        state (dict): What that returned; its tensors may be on any device.
    """
    version, words, gauss = state['python']
    random.setstate((version, tuple(words.tolist()), gauss))
    kind, keys, position, has_gauss, cached = state['numpy']
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), position,
                         has_gauss, cached))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Leave the generators as they were, whatever the block draws."""
    state = capture_random_state()
    _kept.append(state)
    try:
        yield
    finally:
        _kept.pop()
        restore_random_state(state)


def training_random_state() -> Dict[str, object]:
    """The state that training will go on with.

    Returns:
        dict: Within :func:`kept_random_state` the state that it will
        restore, else the present one.
    """
    return _kept[0] if _kept else capture_random_state()
