# What tools/quickstart.sh trains: the practical default on made triplets, a
# few minutes on two CPU cores.
_base_ = [
    '../_base_/models/gold_efflite0.py',
    '../_base_/datasets/synthetic_256x256.py',
    '../_base_/schedules/schedule_1500.py', '../_base_/default_runtime.py'
]
max_iters = 300
# Too few iterations for the moving average of the weights.
custom_hooks = []
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-2,
        by_epoch=False,
        begin=0,
        end=30),
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0.,
        by_epoch=False,
        begin=30,
        end=max_iters)
]
train_cfg = dict(max_iters=max_iters, val_interval=100)
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=100))
