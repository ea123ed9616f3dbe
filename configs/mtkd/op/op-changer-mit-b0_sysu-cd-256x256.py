# O-P on SYSU-CD: the origin of step 1 picks a teacher of step 2. Test alone:
# python tools/test.py configs/mtkd/op/op-changer-mit-b0_sysu-cd-256x256.py
# Checkpoints: here, or by --cfg-options model.origin.checkpoint=PATH
# model.partitions.s.checkpoint=PATH and so on.
initial = None
small = None
medium = None
large = None
_base_ = '../../changer/changer-mit-b0_1xb8-200k_sysu-cd-256x256.py'
model = dict(
    _delete_=True,
    type='OriginPartitionDetector',
    origin=dict(model={{_base_.model}}, checkpoint=initial),
    partitions=dict(
        s=dict(checkpoint=small),
        m=dict(checkpoint=medium),
        l=dict(checkpoint=large)),
    router=dict(
        type='ChangeAreaRouter', thresholds=(0.05, 0.2), inclusive=True))
