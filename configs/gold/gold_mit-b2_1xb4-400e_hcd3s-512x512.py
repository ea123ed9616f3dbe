# The later variant of GOLD with HeteCD's encoders and decoder.
_base_ = [
    '../_base_/models/gold_mit-b2.py',
    '../_base_/datasets/hcd3s-variant_512x512.py',
    '../_base_/schedules/schedule_gold-mit_400e.py',
    '../_base_/epoch_runtime.py'
]
pretrained = dict(
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/'
        'pretrain/segformer/mit_b2_20220624-66e8bf70.pth'))
model = dict(backbone=pretrained, backbone_to=pretrained)
train_dataloader = dict(
    batch_size=4, sampler=dict(type='SeededDefaultSampler'))
randomness = dict(seed=222)
