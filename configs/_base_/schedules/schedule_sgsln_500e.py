# The recipe that SGSLN's authors published: AdamW with decay on everything,
# 500 iterations of warm-up, then a tenth of the rate whenever F1 on val has not
# risen for twelve epochs; validated from epoch 251 on.
# It counts epochs: inherit epoch_runtime.py instead of default_runtime.py.
# bfloat16 stands for their float16 with loss scaling. They clip the gradient
# while it is scaled, i.e. at 20 / 65536: max_norm=3e-4 does that.
lr = 2e-4
max_epochs = 500
optim_wrapper = dict(
    type='Bf16OptimWrapper',
    optimizer=dict(
        type='FusedAdamW', lr=lr, betas=(0.9, 0.999), weight_decay=1e-3),
    clip_grad=dict(max_norm=20.0, norm_type=2))
# Iteration i = 1 ... 499 has 1e-7 + i (lr - 1e-7) / 500, and there it stays.
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=(1e-7 + (lr - 1e-7) / 500) / lr,
        end_factor=(1e-7 + 499 * (lr - 1e-7) / 500) / lr,
        by_epoch=False,
        begin=0,
        end=499),
    dict(
        type='ReduceOnPlateauLR',
        monitor='F1',
        rule='greater',
        factor=0.1,
        patience=11,
        threshold=0.,
        eps=0.,
        by_epoch=True)
]

train_cfg = dict(
    type='EpochBasedTrainLoop',
    max_epochs=max_epochs,
    val_begin=251,
    val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
