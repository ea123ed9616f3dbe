"""A model, data and a metric so small that whole runs take a second."""
import os
import signal

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from opencd_gold.engine.hooks import checkpoint_hook
from opencd_gold.registry import DATASETS, HOOKS, METRICS, MODELS

CONFIG = """
custom_imports = dict(imports=['toy'])
default_scope = 'opencd_gold'
model = dict(type='ToyModel')
randomness = dict(seed=3)
dataset = dict(type='ToyDataset')
collate = dict(type='default_collate')
train_dataloader = dict(
    batch_size=4, num_workers=0, dataset=dataset, collate_fn=collate,
    sampler=dict(type='SeededInfiniteSampler'))
val_dataloader = dict(
    batch_size=4, num_workers=0, dataset=dataset, collate_fn=collate,
    sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
val_evaluator = dict(type='ToyMetric')
test_evaluator = val_evaluator
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.05))
param_scheduler = dict(
    type='PolyLR', eta_min=0., by_epoch=False, begin=0, end=24)
train_cfg = dict(
    type='ResumableIterTrainLoop', max_iters=24, val_interval=6)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=6,
                    max_keep_ckpts=2, save_best='IoU', rule='greater'),
    random_state=dict(type='RandomStateHook'))
log_processor = dict(by_epoch=False)
"""


@DATASETS.register_module(force=True)
class ToyDataset(Dataset):
    """Ten noisy points; the noise follows from the seed of the draw."""

    metainfo = dict(classes=('unchanged', 'changed'))

    def __init__(self, data_root=None, length=10):
        if data_root is not None and not os.path.isdir(data_root):
            raise FileNotFoundError(f'no data at {data_root}')
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(getattr(index, 'seed', 0))
        noise = torch.randn(3, generator=generator)
        return dict(inputs=noise + int(index), target=float(index))


@MODELS.register_module(force=True)
class ToyModel(BaseModel):
    """Regression with dropout, so that the random state matters."""

    def __init__(self, width=8, dropout=0.5):
        super().__init__()
        self.hidden = nn.Linear(3, width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, 1)

    def forward(self, inputs, target=None, mode='tensor'):
        output = self.head(self.dropout(self.hidden(inputs))).squeeze(-1)
        if mode == 'loss':
            return dict(loss=F.mse_loss(output, target.to(output)))
        if mode == 'predict':
            return [dict(error=(output - target).abs().mean().item())]
        return output


@METRICS.register_module(force=True)
class ToyMetric(BaseMetric):
    """Called IoU, so that the best checkpoint is chosen by it."""

    default_prefix = ''

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(IoU=-sum(result['error'] for result in results))


@HOOKS.register_module(force=True)
class SuicideHook(Hook):
    """End the process with SIGKILL.

    Args:
        after (int): Iterations that are done by then.
        when (str): ``'trained'`` right after the last of them (its
            checkpoint is saved, validation is to come), or ``'saving'``
            while that checkpoint is written but not yet in its place.
    """

    priority = 'LOWEST'

    def __init__(self, after, when='trained'):
        self.after = after
        self.when = when

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self.when == 'saving' and batch_idx + 1 == self.after:
            checkpoint_hook.os.replace = _kill

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        if self.when == 'trained' and batch_idx + 1 == self.after:
            _kill()


def _kill(*args):
    os.kill(os.getpid(), signal.SIGKILL)
