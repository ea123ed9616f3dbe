# HRMNet on GVLM, by the authors' recipe, but for whole epochs: how long one is
# depends on how the set is cut.
_base_ = [
    '../_base_/models/hrmnet_r18d.py',
    '../_base_/datasets/gvlm_512x512.py',
    '../_base_/schedules/schedule_hrmnet_20k.py',
    '../_base_/default_runtime.py'
]
# In mmsegmentation's names: convert.py timm-resnet-d.
pretrained = dict(
    type='Pretrained', checkpoint='data/pretrained/resnet18d.pth')
model = dict(backbone=dict(init_cfg=pretrained))
default_hooks = dict(checkpoint=dict(save_best='F1'))
randomness = dict(seed=42)
