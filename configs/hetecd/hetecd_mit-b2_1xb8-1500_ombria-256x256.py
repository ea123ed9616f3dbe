# The standard model on OMBRIA, from scratch; SAR has one band. Wants a GPU.
_base_ = [
    '../_base_/models/hetecd_mit-b2.py',
    '../_base_/datasets/ombria_256x256.py',
    '../_base_/schedules/schedule_1500.py', '../_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(
        channels=(3, 1, 3),
        mean=[[123.675, 116.28, 103.53], 111.0, [123.675, 116.28, 103.53]],
        std=[[58.395, 57.12, 57.375], 50.0, [58.395, 57.12, 57.375]]),
    backbone_to=dict(in_channels=1),
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
