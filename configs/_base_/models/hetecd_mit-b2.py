# HeteCD: two MiT-b2 that share nothing, 3D attention on the difference, features
# aligned where nothing changed. Images from 0 to 1, as published.
norm_cfg = dict(type='BN', requires_grad=True)
backbone = dict(
    type='MixTransformer',
    in_channels=3,
    embed_dims=64,
    num_stages=4,
    num_layers=[3, 4, 6, 3],
    num_heads=[1, 2, 5, 8],
    patch_sizes=[7, 3, 3, 3],
    strides=[4, 2, 2, 2],
    sr_ratios=[8, 4, 2, 1],
    out_indices=(0, 1, 2, 3),
    mlp_ratio=4,
    qkv_bias=True,
    drop_rate=0.2,
    attn_drop_rate=0.2,
    drop_path_rate=0.2)
head = dict(
    type='SpatioTemporalDifferenceHead',
    in_channels=[64, 128, 320, 512],
    channels=256,
    num_classes=2,
    dropout_ratio=0.1,
    norm_cfg=norm_cfg,
    loss_decode=[
        dict(type='ChangeCrossEntropyLoss'),
        dict(type='ChangeDiceLoss', mode='mean'),
    ])
# A guide in the data is ignored, so that data configs can be shared.
model = dict(
    type='BitemporalDetector',
    data_preprocessor=dict(
        type='ChangeDataPreProcessor',
        channels=(3, 3),
        mean=[0., 0.],
        std=[255., 255.]),
    backbone=backbone,
    backbone_to=backbone,
    decode_head=head,
    feature_losses=[
        dict(
            type='FeatureAlignLoss',
            loss_weight=2.0,
            schedule=dict(kind='inverse', epochs=1)),
    ],
    test_cfg=dict(mode='whole'))
