# The recipe of the later variant of GOLD: AdamW with decay on everything,
# linear warm-up over 2 % of the epochs, then linear decay to zero, gradients
# clipped to 1, bfloat16.
# It counts epochs: inherit epoch_runtime.py instead of default_runtime.py, and
# give the training loader an end (SeededDefaultSampler).
max_epochs = 400
warmup_epochs = 8
optim_wrapper = dict(
    type='Bf16OptimWrapper',
    optimizer=dict(
        type='FusedAdamW', lr=5e-4, betas=(0.9, 0.999), weight_decay=0.01),
    clip_grad=dict(max_norm=1.0, norm_type=2))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=2e-3,
        by_epoch=True,
        begin=0,
        end=warmup_epochs,
        convert_to_iter_based=True),
    dict(
        type='PolyLR',
        power=1.0,
        eta_min=0.,
        by_epoch=True,
        begin=warmup_epochs,
        end=max_epochs,
        convert_to_iter_based=True)
]

train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
