# ChangerEx with EfficientNet-Lite0, whose ImageNet weights come from the package
# index. Other images after the second date in the data (a guide) are ignored.
_base_ = './changer_mit-b0.py'
model = dict(
    data_preprocessor=dict(size_divisor=None),
    backbone=dict(
        _delete_=True,
        type='EfficientNetLite',
        version=0,
        pretrained=True,
        in_channels=3),
    neck=dict(in_channels=[24, 40, 112, 320]),
    channels_last=True,
    test_cfg=dict(mode='whole', precision='bfloat16'))
