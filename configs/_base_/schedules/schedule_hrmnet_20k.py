# The recipe that HRMNet's authors published: AdamW with decay on everything,
# polynomial decay over the whole run, 200 iterations of warm-up, float32. They
# train in whole epochs and end the warm-up with the first one: a config that
# knows how long an epoch is says so (max_iters, end, warmup_end).
max_iters = 20000
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='FusedAdamW', lr=5e-4, betas=(0.9, 0.999), weight_decay=0.01))
param_scheduler = dict(
    type='WarmupPolyLR',
    power=0.9,
    warmup_iters=200,
    warmup_ratio=0.1,
    warmup_end=None,
    begin=0,
    end=max_iters,
    by_epoch=False)

train_cfg = dict(
    type='ResumableIterTrainLoop', max_iters=max_iters, val_interval=250)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
