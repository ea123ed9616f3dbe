# SGSLN on SYSU-CD, by the authors' recipe.
_base_ = [
    '../_base_/models/sgsln.py', '../_base_/datasets/pair_256x256.py',
    '../_base_/schedules/schedule_sgsln_500e.py',
    '../_base_/epoch_runtime.py'
]
dataset = dict(type='SYSUCDDataset', data_root='data/SYSU-CD')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
default_hooks = dict(checkpoint=dict(save_best='F1'))
randomness = dict(seed=42)
