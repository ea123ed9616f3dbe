# AR-CDNet on LEVIR-CD, by the authors' recipe.
_base_ = [
    '../_base_/models/ar-cdnet_r18d.py',
    '../_base_/datasets/levir_cd_512x512.py',
    '../_base_/schedules/schedule_hrmnet_20k.py',
    '../_base_/default_runtime.py'
]
# In mmsegmentation's names: convert.py timm-resnet-d.
pretrained = dict(
    type='Pretrained', checkpoint='data/pretrained/resnet18d.pth')
model = dict(backbone=dict(init_cfg=pretrained))
# 445 images cut in four, batches of 8, the last one dropped.
iters_per_epoch = 445 * 4 // 8
max_iters = -(-20000 // iters_per_epoch) * iters_per_epoch
param_scheduler = dict(end=max_iters, warmup_end=iters_per_epoch)
train_cfg = dict(max_iters=max_iters, val_interval=iters_per_epoch)
train_dataloader = dict(batch_size=8)
randomness = dict(seed=2333)
default_hooks = dict(checkpoint=dict(save_best='F1'))
