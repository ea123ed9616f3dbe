# HRMNet with an EfficientNet-Lite0 encoder, whose ImageNet weights come from the
# package index.
_base_ = './hrmnet_r18d.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='EfficientNetLite',
        version=0,
        in_channels=3,
        pretrained=True),
    neck=dict(in_channels=[24, 40, 112, 320]))
