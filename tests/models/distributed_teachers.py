"""Two steps of MTKD, whose processes get samples of different teachers.

Run by torchrun; writes into the given folder how many bytes the buckets hold,
and the student's weights of each process.
"""
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.optim import build_optim_wrapper
from models.test_mtkd import batch, student

from opencd_gold.engine.cli import build_runner

MODEL = dict(
    type='MultiTeacherDetector',
    student=student(),
    teachers=dict(s={}, m={}, l={}),
    distill_losses=[dict(type='TeacherSquareLoss', loss_weight=1.)])


def main(folder):
    torch.set_num_threads(1)
    model = build_runner(Config(dict(
        default_scope='opencd_gold', model=MODEL, work_dir=folder,
        launcher='pytorch', randomness=dict(seed=0)))).model
    assert type(model).__name__ == 'MMDistributedDataParallel'
    assert not model.find_unused_parameters
    inputs, samples = batch((0.02, 0.02) if get_rank() == 0 else (0.5, 0.5))
    wrapper = build_optim_wrapper(
        model, dict(optimizer=dict(type='SGD', lr=0.1)))
    model.train()
    for _ in range(2):  # the second refuses parameters that had no gradient
        losses = model(inputs, samples, mode='loss')
        wrapper.update_params(model.module.parse_losses(losses)[0])
    log = model._get_ddp_logging_data()
    torch.save(
        dict(
            bytes=log['total_parameter_size_bytes'],
            state=model.module.state_dict()),
        Path(folder, f'{get_rank()}.pth'))
    torch.distributed.destroy_process_group()


if __name__ == '__main__':
    main(sys.argv[1])
