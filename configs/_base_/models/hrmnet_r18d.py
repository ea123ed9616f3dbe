# HRMNet: ResNet-18-D, absolute differences at four levels, a review of the
# deeper ones against the finest, a branch that learns where the map is wrong.
# ImageNet weights: init_cfg=dict(type='Pretrained', checkpoint=...) of the
# backbone, a file in mmsegmentation's names.
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='BitemporalDetector',
    data_preprocessor=dict(
        type='ChangeDataPreProcessor',
        channels=(3, 3),
        mean=[[123.675, 116.28, 103.53]] * 2,
        std=[[58.395, 57.12, 57.375]] * 2),
    backbone=dict(
        type='mmseg.ResNetV1d',
        depth=18,
        in_channels=3,
        stem_channels=64,
        base_channels=64,
        num_stages=4,
        strides=(1, 2, 2, 2),
        dilations=(1, 1, 1, 1),
        out_indices=(0, 1, 2, 3),
        style='pytorch',
        contract_dilation=False,
        norm_cfg=norm_cfg,
        norm_eval=False),
    neck=dict(
        type='ContextPyramid',
        in_channels=[64, 128, 256, 512],
        channels=64,
        pool_scales=(1, 2, 3, 5),
        norm_cfg=norm_cfg),
    decode_head=dict(
        type='HardRegionHead',
        in_channels=64,
        image_channels=3,
        num_classes=2,
        out_channels=1,
        threshold=0.5,
        align_corners=True,
        norm_cfg=norm_cfg,
        loss_decode=[
            dict(type='ChangeCrossEntropyLoss'),
            dict(type='ChangeDiceLoss', mode='change'),
        ]),
    with_images=True,
    channels_last=True,
    test_cfg=dict(mode='whole'))
