"""The light network on HCD-3S."""
_base_ = './gold_r18_4xb8-100k_hcd3s-512x512.py'
light_backbone = dict(base_channels=32, stem_channels=64)
light_neck = dict(in_channels=[32, 64, 128, 256], channels=64)
model = dict(
    backbone=light_backbone,
    backbone_to=light_backbone,
    neck=light_neck,
    neck_to=light_neck,
    interaction=dict(channels=64),
    decode_head=dict(in_channels=64),
    teacher_head=dict(in_channels=64))
