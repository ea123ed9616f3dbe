# The light model on XiongAn: less than a tenth of the multiply-adds.
_base_ = [
    '../_base_/models/hetecd_mit-b0.py',
    '../_base_/datasets/xiongan_512x512.py',
    '../_base_/schedules/schedule_hetecd_200e.py', '../_base_/epoch_runtime.py'
]
pretrained = dict(
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/'
        'pretrain/segformer/mit_b0_20220624-7e0fe6dd.pth'))
model = dict(backbone=pretrained, backbone_to=pretrained)
randomness = dict(seed=222)
