# HeteCD's head and alignment on pretrained encoders that the package index
# carries: data, schedule and seeds of the student of GOLD
# (gold-student_efflite0_1xb8-1500_ombria-256x256.py).
_base_ = [
    '../_base_/models/hetecd_efflite0.py',
    '../_base_/datasets/ombria_256x256.py',
    '../_base_/schedules/schedule_1500.py', '../_base_/default_runtime.py'
]
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
