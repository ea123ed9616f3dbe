# The recipe that HRMNet's authors published: AdamW with decay on everything,
# polynomial decay over the whole run, warm-up in the first 200 iterations of
# the first epoch. At least 20000 iterations, in whole epochs: configs say how
# long an epoch is (LEVIR-CD cut to 512 in batches of 8 here), since the rate
# depends on it.
iters_per_epoch = 222
max_iters = -(-20000 // iters_per_epoch) * iters_per_epoch
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='FusedAdamW', lr=5e-4, betas=(0.9, 0.999), weight_decay=0.01))
param_scheduler = dict(
    type='WarmupPolyLR',
    power=0.9,
    warmup_iters=200,
    warmup_ratio=0.1,
    warmup_end=iters_per_epoch,
    begin=0,
    end=max_iters,
    by_epoch=False)

train_cfg = dict(
    type='ResumableIterTrainLoop',
    max_iters=max_iters,
    val_interval=iters_per_epoch)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
