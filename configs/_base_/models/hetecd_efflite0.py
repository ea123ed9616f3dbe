# HeteCD's head on EfficientNet-Lite0 encoders, whose ImageNet weights come from
# the package index. Normalisation, losses and precision are those of
# gold-student_efflite0.py. No alignment loss: MiT's stages end in a norm, these
# do not, and the loss, forty times the others at first, outweighs them
# (docs/benchmarks.md).
norm_cfg = dict(type='BN', requires_grad=True)
backbone = dict(type='EfficientNetLite', version=0, pretrained=True)
head = dict(
    type='SpatioTemporalDifferenceHead',
    in_channels=[24, 40, 112, 320],
    channels=64,
    num_classes=2,
    dropout_ratio=0.1,
    norm_cfg=norm_cfg,
    loss_decode=[
        dict(type='ChangeCrossEntropyLoss'),
        dict(type='ChangeDiceLoss', mode='change'),
    ])
# A guide in the data is ignored, so that data configs can be shared.
model = dict(
    type='BitemporalDetector',
    data_preprocessor=dict(
        type='ChangeDataPreProcessor',
        channels=(3, 1, 3),
        mean=[[123.675, 116.28, 103.53], 111.0, [123.675, 116.28, 103.53]],
        std=[[58.395, 57.12, 57.375], 50.0, [58.395, 57.12, 57.375]]),
    backbone=dict(in_channels=3, **backbone),
    backbone_to=dict(in_channels=1, **backbone),
    decode_head=head,
    channels_last=True,
    test_cfg=dict(mode='whole', precision='bfloat16'))
