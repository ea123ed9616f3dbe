# AdamW in bfloat16, linear warm-up, then polynomial decay to zero over 1500
# iterations: the protocol of docs/benchmarks.md on OMBRIA.
max_iters = 1500
warmup_iters = 75
optim_wrapper = dict(
    type='Bf16OptimWrapper',
    optimizer=dict(
        type='FusedAdamW', lr=5e-4, betas=(0.9, 0.999), weight_decay=0.01),
    clip_grad=dict(max_norm=5.0, norm_type=2))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-2,
        by_epoch=False,
        begin=0,
        end=warmup_iters),
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0.,
        by_epoch=False,
        begin=warmup_iters,
        end=max_iters)
]

train_cfg = dict(
    type='ResumableIterTrainLoop', max_iters=max_iters, val_interval=250)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# What is validated, saved and published is the moving average of the weights and
# of the statistics of the norms, over the last 100 iterations, in the first 990
# over the last tenth of them: the variance of 1 that norms begin with would
# otherwise outweigh that of HeteCD's head, 1e-6, for a thousand iterations.
custom_hooks = [
    dict(
        type='EMAHook',
        ema_type='MomentumAnnealingEMA',
        momentum=0.01,
        gamma=10,
        update_buffers=True,
        priority='NORMAL')
]
