"""Gradients of light GOLD, by two processes and by one.

Run by torchrun; writes ``gradients.pth`` into the given folder: of both
processes with half of the batch each, of one with the whole batch, and of one
with the first half.
"""
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import get_rank, get_world_size, is_main_process
from mmengine.logging import MessageHub
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from models.contract import CONFIGS, gradients, total

from opencd_gold.engine.cli import build_runner
from opencd_gold.registry import MODELS

CONFIG = CONFIGS / 'gold/gold_r18-light_4xb8-100k_hcd3s-512x512.py'
SAMPLES, SIZE, CHANGED = 4, 64, 1000


def read_config(work_dir):
    """The config without data, and without Dice."""
    cfg = Config.fromfile(CONFIG)
    for key in list(cfg):
        if key.startswith(('train_', 'val_', 'test_')) or key in (
                'optim_wrapper', 'param_scheduler', 'default_hooks'):
            cfg.pop(key)
    for head in ('decode_head', 'teacher_head'):
        cfg.model[head].loss_decode = cfg.model[head].loss_decode[:1]
    cfg.update(work_dir=work_dir, launcher='pytorch')
    return cfg


def make_batch():
    """Images of noise; each label has the same number of changed pixels."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(SAMPLES, 9, SIZE, SIZE, generator=generator)
    samples = []
    for _ in range(SAMPLES):
        label = torch.zeros(SIZE * SIZE, dtype=torch.long)
        label[torch.randperm(SIZE * SIZE, generator=generator)[:CHANGED]] = 1
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=label.view(1, SIZE, SIZE))
        samples.append(sample)
    return inputs, samples


def step(model, batch, part=slice(None)):
    """Gradients by name, after one backward pass."""
    inputs, samples = batch
    model.zero_grad()
    total(model(inputs[part], samples[part], mode='loss')).backward()
    found = gradients(getattr(model, 'module', model))
    return {name: value.clone() for name, value in found.items()}


def main(folder):
    torch.set_num_threads(1)
    cfg = read_config(folder)
    runner = build_runner(cfg)
    model = runner.model
    assert type(model).__name__ == 'MMDistributedDataParallel'
    assert not model.find_unused_parameters
    batch = make_batch()
    half = SAMPLES // get_world_size()
    part = slice(half * get_rank(), half * (get_rank() + 1))

    MessageHub.get_current_instance().update_info_dict(
        dict(iter=5, max_iters=1000, iters_per_epoch=1))
    model.eval()
    found = dict(two=step(model, batch, part))
    if is_main_process():
        plain = MODELS.build(cfg.model)
        plain.load_state_dict(model.module.state_dict())
        plain.eval()
        found['one'] = step(plain, batch)
        found['half'] = step(plain, batch, part)
        torch.save(found, Path(folder, 'gradients.pth'))

    MessageHub.get_current_instance().update_info('iter', 0)
    model.train()
    for _ in range(2):  # the second refuses parameters that had no gradient
        step(model, batch, part)
    torch.distributed.destroy_process_group()


if __name__ == '__main__':
    main(sys.argv[1])
