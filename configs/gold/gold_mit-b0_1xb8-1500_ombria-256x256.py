# The light variant of GOLD with HeteCD's encoders and decoder on OMBRIA, from
# scratch; SAR has one band. Warm-ups of the losses fit 21 epochs.
_base_ = [
    '../_base_/models/gold_mit-b0.py', '../_base_/datasets/ombria_256x256.py',
    '../_base_/schedules/schedule_1500.py',
    '../_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=_base_.triplet_preprocessor,
    backbone_to=dict(in_channels=1),
    loss_weighting=dict(
        schedules=dict(
            teacher=dict(epochs=2),
            output=dict(epochs=2),
            map=dict(epochs=2),
            channel=dict(epochs=2),
            spatial=dict(epochs=2))),
    test_cfg=dict(precision='bfloat16'))
