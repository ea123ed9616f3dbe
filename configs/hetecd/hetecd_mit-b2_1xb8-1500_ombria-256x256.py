# The standard model on OMBRIA, from scratch; SAR has one band. Wants a GPU.
_base_ = [
    '../_base_/models/hetecd_mit-b2.py',
    '../_base_/datasets/ombria_256x256.py',
    '../_base_/schedules/schedule_1500.py',
    '../_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=_base_.triplet_preprocessor,
    backbone_to=dict(in_channels=1),
    test_cfg=dict(precision='bfloat16'))
