_base_ = './changer-mit-b0_1xb8-200k_jl1cd-512x512.py'
pretrained = (
    'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/'
    'mit_b1_20220624-02e5a6a1.pth')
model = dict(
    backbone=dict(embed_dims=64, init_cfg=dict(checkpoint=pretrained)),
    neck=dict(in_channels=[64, 128, 320, 512]))
