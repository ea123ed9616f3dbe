# The light network on OMBRIA, from scratch; SAR has one band.
_base_ = [
    '../_base_/models/gold_r18.py', '../_base_/datasets/ombria_256x256.py',
    '../_base_/schedules/schedule_1500.py', '../_base_/default_runtime.py'
]
light_backbone = dict(base_channels=32, stem_channels=64)
light_neck = dict(in_channels=[32, 64, 128, 256], channels=64)
model = dict(
    data_preprocessor=_base_.triplet_preprocessor,
    backbone=light_backbone,
    backbone_to=dict(in_channels=1, **light_backbone),
    neck=light_neck,
    neck_to=light_neck,
    interaction=dict(channels=64),
    decode_head=dict(in_channels=64),
    teacher_head=dict(in_channels=64),
    loss_weighting=dict(
        warmup_epochs=2,
        schedules=dict(
            teacher=dict(epochs=2),
            feature=dict(epochs=2),
            output=dict(epochs=2))),
    test_cfg=dict(precision='bfloat16'))
