# The recipe that HeteCD's authors published: AdamW with decay on everything,
# polynomial decay of power 1.5 to zero in every iteration, no warm-up.
# It counts epochs: inherit epoch_runtime.py instead of default_runtime.py, and
# give the training loader an end (SeededDefaultSampler).
max_epochs = 200
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='FusedAdamW', lr=5e-4, betas=(0.9, 0.999), weight_decay=0.01))
param_scheduler = dict(
    type='PolyLR',
    power=1.5,
    eta_min=0.,
    by_epoch=True,
    begin=0,
    end=max_epochs,
    convert_to_iter_based=True)

train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
