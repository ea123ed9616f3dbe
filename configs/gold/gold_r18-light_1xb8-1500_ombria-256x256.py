# The light network on OMBRIA, from scratch; SAR has one band.
_base_ = [
    '../_base_/models/gold_r18.py', '../_base_/datasets/ombria_256x256.py',
    '../_base_/schedules/schedule_1500.py', '../_base_/default_runtime.py'
]
light_backbone = dict(base_channels=32, stem_channels=64)
light_neck = dict(in_channels=[32, 64, 128, 256], channels=64)
model = dict(
    data_preprocessor=dict(
        channels=(3, 1, 3),
        mean=[[123.675, 116.28, 103.53], 111.0, [123.675, 116.28, 103.53]],
        std=[[58.395, 57.12, 57.375], 50.0, [58.395, 57.12, 57.375]]),
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
optim_wrapper = dict(
    type='Bf16OptimWrapper', clip_grad=dict(max_norm=5.0, norm_type=2))
# What is validated, saved and published is the moving average of the weights.
custom_hooks = [
    dict(
        type='EMAHook',
        ema_type='ExponentialMovingAverage',
        momentum=0.01,
        update_buffers=True,
        priority='NORMAL')
]
