"""Gradient of one step, by two processes and by one with the whole batch.

Run by torchrun; writes ``two.pth`` and ``one.pth`` into the given folder.
"""
import sys
from pathlib import Path

import torch
from mmengine.dist import get_rank, is_main_process
from mmengine.runner import Runner
from toy import ToyModel

from opencd_gold import compat


def gradients(model, batch):
    model.zero_grad()
    model(**batch, mode='loss')['loss'].backward()
    model = getattr(model, 'module', model)
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def main(folder):
    compat.init_dist('pytorch')
    torch.manual_seed(0)
    plain = ToyModel(dropout=0.)
    batch = dict(inputs=torch.randn(8, 3), target=torch.randn(8))
    one = gradients(plain, batch)

    runner = Runner(model=plain, work_dir=folder, launcher='pytorch')
    half = slice(4 * get_rank(), 4 * get_rank() + 4)
    two = gradients(runner.model,
                    {key: value[half] for key, value in batch.items()})
    if is_main_process():
        torch.save(one, Path(folder, 'one.pth'))
        torch.save(two, Path(folder, 'two.pth'))


if __name__ == '__main__':
    main(sys.argv[1])
    compat.end_dist()
