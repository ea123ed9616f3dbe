# HeteCD, the standard model, by the authors' recipe. The losses are the correct
# forms of the authors' (README.md, "What differs").
_base_ = [
    '../_base_/models/hetecd_mit-b2.py',
    '../_base_/datasets/xiongan_512x512.py',
    '../_base_/schedules/schedule_hetecd_200e.py', '../_base_/epoch_runtime.py'
]
pretrained = dict(
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/'
        'pretrain/segformer/mit_b2_20220624-66e8bf70.pth'))
model = dict(backbone=pretrained, backbone_to=pretrained)
randomness = dict(seed=222)
