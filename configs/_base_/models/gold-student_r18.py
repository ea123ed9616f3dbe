# The student of GOLD alone: optical before, SAR after, two ResNet-18 encoders.
norm_cfg = dict(type='BN', requires_grad=True)
backbone = dict(
    type='mmseg.ResNetV1c',
    depth=18,
    in_channels=3,
    stem_channels=128,
    base_channels=64,
    num_stages=4,
    strides=(1, 2, 2, 2),
    dilations=(1, 1, 1, 1),
    out_indices=(0, 1, 2, 3),
    style='pytorch',
    contract_dilation=False,
    norm_cfg=norm_cfg,
    norm_eval=False)
neck = dict(
    type='MultiScaleFusion',
    in_channels=[64, 128, 256, 512],
    channels=128,
    norm_cfg=norm_cfg)
head = dict(
    type='AttentionTransferHead',
    in_channels=128,
    num_classes=2,
    norm_cfg=norm_cfg,
    loss_decode=[
        dict(type='ChangeCrossEntropyLoss', class_weight=[0.1, 0.9]),
        dict(type='ChangeDiceLoss', mode='mean', loss_weight=1.5),
    ])
# A guide in the data is ignored, so that student and GOLD share data configs.
model = dict(
    type='BitemporalDetector',
    data_preprocessor=dict(
        type='ChangeDataPreProcessor',
        channels=(3, 3, 3),
        mean=[[123.675, 116.28, 103.53]] * 3,
        std=[[58.395, 57.12, 57.375]] * 3),
    backbone=backbone,
    backbone_to=backbone,
    neck=neck,
    neck_to=neck,
    interaction=dict(type='ChannelInteraction', channels=128, reduction=16),
    decode_head=dict(dropout_ratio=0.1, **head),
    channels_last=True,
    test_cfg=dict(mode='whole'))
