"""GOLD with two ResNet-18 encoders, 25.4 million parameters in training."""
norm_cfg = dict(type='BN', requires_grad=True)
channels = (3, 3, 3)
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
model = dict(
    type='TripleBranchDetector',
    data_preprocessor=dict(
        type='ChangeDataPreProcessor',
        channels=channels,
        mean=[[123.675, 116.28, 103.53]] * 3,
        std=[[58.395, 57.12, 57.375]] * 3),
    backbone=backbone,
    backbone_to=backbone,
    neck=neck,
    neck_to=neck,
    interaction=dict(type='ChannelInteraction', channels=128, reduction=16),
    decode_head=dict(dropout_ratio=0.1, **head),
    teacher_head=dict(dropout_ratio=0.05, element_dropout=True, **head),
    teacher_inputs='from+guide',
    distill_losses=[
        dict(type='FeatureDistillLoss', mask=(4.0, 0.5)),
        dict(type='LogitDistillLoss', temperature=2.0, reduction='mean'),
        dict(type='AttentionTransferLoss'),
    ],
    loss_weighting=dict(
        type='UncertaintyWeighting',
        groups=dict(
            cd=dict(student=1.0, teacher=0.4),
            distill=dict(feature=0.7, output=0.3),
            att=dict(map=0.5, channel=0.3, spatial=0.2)),
        task=dict(cd=1.0, distill=0.3, att=0.3),
        warmup_epochs=20,
        schedules=dict(
            teacher=dict(kind='cosine', epochs=20),
            feature=dict(kind='cosine', epochs=20),
            output=dict(kind='cosine', epochs=20))),
    channels_last=True,
    test_cfg=dict(mode='whole', evaluate_teacher=True))
