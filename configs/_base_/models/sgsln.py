# SGSLN: one light encoder, channels exchanged before its deepest stage, a
# semantic decoder for each date and one for the change. Trained from scratch.
norm_cfg = dict(type='BN', requires_grad=True)
widths = [64, 128, 256, 512]
model = dict(
    type='InteractingDetector',
    # Each date has its own statistics, those of the training set:
    # tools/dataset_converters/mean_std.py writes these lines.
    data_preprocessor=dict(
        type='ChangeDataPreProcessor',
        channels=(3, 3),
        mean=[[123.675, 116.28, 103.53]] * 2,
        std=[[58.395, 57.12, 57.375]] * 2,
        size_divisor=16,
        test_cfg=dict(size_divisor=16)),
    backbone=dict(
        type='SGSLNEncoder',
        in_channels=3,
        base_channels=32,
        dropout=0.1,
        norm_cfg=norm_cfg),
    stage_interactions=[
        None, None, None, dict(type='ChannelExchange', offset=1), None
    ],
    neck=dict(type='TopDownDecoder', in_channels=widths, norm_cfg=norm_cfg),
    decode_head=dict(
        type='SGSLNHead',
        in_channels=widths,
        num_classes=2,
        out_channels=1,
        # The largest number below 0.5, for 0.5 itself is change.
        threshold=0.5 - 2**-25,
        aux_weight=0.2,
        norm_cfg=norm_cfg,
        loss_decode=[
            dict(type='ChangeCrossEntropyLoss'),
            dict(type='ChangeDiceLoss', mode='change'),
        ]),
    channels_last=True,
    test_cfg=dict(mode='whole'))
