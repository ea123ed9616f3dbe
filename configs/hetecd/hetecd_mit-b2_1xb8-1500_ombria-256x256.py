# The standard model on OMBRIA, from scratch; SAR has one band. Wants a GPU.
_base_ = [
    '../_base_/models/hetecd_mit-b2.py',
    '../_base_/datasets/ombria_256x256.py',
    '../_base_/schedules/schedule_1500_ema.py',
    '../_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(
        channels=(3, 1, 3),
        mean=[[123.675, 116.28, 103.53], 111.0, [123.675, 116.28, 103.53]],
        std=[[58.395, 57.12, 57.375], 50.0, [58.395, 57.12, 57.375]]),
    backbone_to=dict(in_channels=1),
    test_cfg=dict(precision='bfloat16'))
