# Another backbone is a few lines: mmseg's ResNet-50 with its own stem, whose
# ImageNet weights init_cfg fetches.
_base_ = './gold_r18_4xb8-100k_hcd3s-512x512.py'
backbone = dict(
    depth=50,
    stem_channels=64,
    init_cfg=dict(
        type='Pretrained', checkpoint='open-mmlab://resnet50_v1c'))
neck = dict(in_channels=[256, 512, 1024, 2048])
model = dict(
    backbone=backbone, backbone_to=backbone, neck=neck, neck_to=neck)
