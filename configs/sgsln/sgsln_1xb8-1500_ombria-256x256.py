# SGSLN on OMBRIA, optical before and SAR after, from scratch: an encoder and a
# semantic decoder for each sensor, that still exchange channels. A guide in the
# data is ignored.
_base_ = [
    '../_base_/models/sgsln.py', '../_base_/datasets/ombria_256x256.py',
    '../_base_/schedules/schedule_1500.py', '../_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=_base_.triplet_preprocessor,
    backbone_to={**_base_.model.backbone, 'in_channels': 1},
    neck_to=_base_.model.neck,
    test_cfg=dict(precision='bfloat16'))
