# The recipe of Changer with MiT in MTKD: AdamW, 1000 iterations of warm-up, then
# linear decay to zero at iteration 200000. The authors' head, which learns ten
# times as fast as the encoder, is our neck, interaction and head.
max_iters = 200000
warmup_iters = 1000
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='FusedAdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys=dict(
            neck=dict(lr_mult=10.),
            interaction=dict(lr_mult=10.),
            decode_head=dict(lr_mult=10.),
            norm=dict(decay_mult=0.))))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-6,
        by_epoch=False,
        begin=0,
        end=warmup_iters),
    dict(
        type='PolyLR',
        power=1.0,
        eta_min=0.,
        by_epoch=False,
        begin=warmup_iters,
        end=max_iters)
]

train_cfg = dict(
    type='ResumableIterTrainLoop', max_iters=max_iters, val_interval=5000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
