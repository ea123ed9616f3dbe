"""Tensors made from their own names, as the reference figures were.

``rng(name)`` is PCG64 seeded with the CRC-32 of the name; weights, inputs and
labels follow from name and shape alone, so that no checkpoint is stored.
"""
import json
import zlib
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent


def rng(name):
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def weight(name, shape):
    leaf = name.rsplit('.', 1)[-1]
    if leaf == 'num_batches_tracked':
        return torch.tensor(1, dtype=torch.int64)
    z = rng(name).standard_normal(shape)
    if leaf == 'running_var':
        z = 1 + 0.2 * np.abs(z)
    elif leaf == 'running_mean':
        z = 0.1 * z
    elif len(shape) <= 1:
        z = 1 + 0.1 * z if leaf == 'weight' else 0.05 * z
    else:
        z = z * np.sqrt(2 / np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(z, dtype=np.float32))


def state_dict(shapes):
    return {name: weight(name, shape) for name, shape in shapes.items()}


def tensor(name, shape):
    return torch.from_numpy(
        rng(name).standard_normal(shape).astype(np.float32))


def label(name, shape, p):
    return torch.from_numpy((rng(name).random(shape) < p).astype(np.int64))


class Figures:
    """Stored figures of one system.

    Attributes:
        info (dict): ``state``, ``cases`` and options.
        seen (dict[str, float]): Largest error of each array compared so far.
    """

    def __init__(self, system):
        self.info = json.loads((HERE / f'{system}.json').read_text())
        self.arrays = dict(np.load(HERE / f'{system}.npz'))
        self.cases = {case['case']: case for case in self.info['cases']}
        self.relative = {
            name
            for case in self.info['cases']
            if 'without the floor' in case.get('tolerance', '')
            for name in case['arrays']
        }
        self.seen = {}

    def check(self, name, value, relative=False, tolerance=1e-4):
        """Compare ``value`` with the array ``name``."""
        expected = self.arrays[name]
        value = value.detach().numpy() if torch.is_tensor(value) else (
            np.asarray(value))
        assert value.shape == expected.shape, (name, value.shape)
        scale = np.abs(expected).max()
        if not (relative or name in self.relative):
            scale = max(1., scale)
        error = np.abs(value.astype(np.float64) - expected).max()
        self.seen[name] = (float(error), float(scale))
        assert error <= tolerance * scale, (name, error, scale)
