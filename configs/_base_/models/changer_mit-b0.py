# ChangerEx with MiT-b0: dates exchanged between stages, flow dual alignment.
norm_cfg = dict(type='BN', requires_grad=True)
# Positions exchanged after stage 2, channels after stages 3 and 4.
stage_interactions = [
    None,
    dict(type='SpatialExchange', p=1 / 2),
    dict(type='ChannelExchange', p=1 / 2),
    dict(type='ChannelExchange', p=1 / 2),
]
backbone = dict(
    type='mmseg.MixVisionTransformer',
    in_channels=3,
    embed_dims=32,
    num_stages=4,
    num_layers=[2, 2, 2, 2],
    num_heads=[1, 2, 5, 8],
    patch_sizes=[7, 3, 3, 3],
    strides=[4, 2, 2, 2],
    sr_ratios=[8, 4, 2, 1],
    out_indices=(0, 1, 2, 3),
    mlp_ratio=4,
    qkv_bias=True,
    drop_rate=0.0,
    attn_drop_rate=0.0,
    drop_path_rate=0.1)
# SegFormer's ImageNet weights; None starts from scratch.
pretrained = (
    'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/'
    'mit_b0_20220624-7e0fe6dd.pth')
model = dict(
    type='InteractingDetector',
    data_preprocessor=dict(
        type='ChangeDataPreProcessor',
        channels=(3, 3),
        mean=[[123.675, 116.28, 103.53]] * 2,
        std=[[58.395, 57.12, 57.375]] * 2,
        size_divisor=32),
    backbone=dict(
        init_cfg=dict(type='Pretrained', checkpoint=pretrained), **backbone),
    stage_interactions=stage_interactions,
    neck=dict(
        type='MultiScaleFusion',
        in_channels=[32, 64, 160, 256],
        channels=128,
        out_channels=64,
        norm_cfg=norm_cfg,
        out_act_cfg=dict(type='ReLU'),
        bias=False),
    interaction=dict(type='FlowDualAlignment', channels=64),
    decode_head=dict(
        type='MixFFNHead',
        in_channels=64,
        num_classes=2,
        dropout_ratio=0.1,
        norm_cfg=norm_cfg,
        loss_decode=dict(
            type='HardPixelCrossEntropyLoss', thresh=0.7, min_kept=100000)),
    test_cfg=dict(mode='whole'))
