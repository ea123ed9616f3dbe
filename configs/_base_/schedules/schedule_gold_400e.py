# The recipe that GOLD's authors published: AdamW with decay on everything,
# cosine annealing to zero, one step an epoch, no warm-up.
# It counts epochs: inherit epoch_runtime.py instead of default_runtime.py, and
# give the training loader an end:
# train_dataloader = dict(
#     drop_last=True, sampler=dict(type='SeededDefaultSampler'))
max_epochs = 400
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='FusedAdamW', lr=5e-4, betas=(0.9, 0.999), weight_decay=0.01),
    clip_grad=dict(max_norm=0.5, norm_type=2))
param_scheduler = dict(
    type='CosineAnnealingLR',
    T_max=max_epochs,
    eta_min=0.,
    by_epoch=True,
    begin=0,
    end=max_epochs)

train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
