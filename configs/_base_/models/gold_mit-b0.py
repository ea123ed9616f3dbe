# The light form of gold_mit-b2.py: encoders and head of hetecd_mit-b0.py.
_base_ = './gold_mit-b2.py'
backbone = dict(
    embed_dims=32,
    num_layers=[2, 2, 2, 2],
    drop_rate=0.,
    attn_drop_rate=0.,
    drop_path_rate=0.1)
head = dict(in_channels=[32, 64, 160, 256], channels=64)
model = dict(
    backbone=backbone,
    backbone_to=backbone,
    decode_head=head,
    teacher_head=head)
