# schedule_1500.py in bfloat16; what is validated, saved and published is the
# moving average of the weights: the protocol of docs/benchmarks.md on OMBRIA.
_base_ = './schedule_1500.py'
optim_wrapper = dict(
    type='Bf16OptimWrapper', clip_grad=dict(max_norm=5.0, norm_type=2))
custom_hooks = [
    dict(
        type='EMAHook',
        ema_type='ExponentialMovingAverage',
        momentum=0.01,
        update_buffers=True,
        priority='NORMAL')
]
