# HRMNet on LEVIR-CD+, by the authors' recipe.
_base_ = [
    '../_base_/models/hrmnet_r18d.py',
    '../_base_/datasets/levir_cd_plus_512x512.py',
    '../_base_/schedules/schedule_hrmnet_20k.py',
    '../_base_/default_runtime.py'
]
# In mmsegmentation's names: convert.py timm-resnet-d.
pretrained = dict(
    type='Pretrained', checkpoint='data/pretrained/resnet18d.pth')
model = dict(backbone=dict(init_cfg=pretrained))
# 637 images cut in four, batches of 16, the last one dropped.
iters_per_epoch = 637 * 4 // 16
max_iters = -(-20000 // iters_per_epoch) * iters_per_epoch
param_scheduler = dict(end=max_iters, warmup_end=iters_per_epoch)
train_cfg = dict(max_iters=max_iters, val_interval=iters_per_epoch)
default_hooks = dict(checkpoint=dict(save_best='F1'))
randomness = dict(seed=42)
