# The light HeteCD: MiT-b0 with SegFormer's own dropout, a quarter of the width
# in the head.
_base_ = './hetecd_mit-b2.py'
backbone = dict(
    embed_dims=32,
    num_layers=[2, 2, 2, 2],
    drop_rate=0.,
    attn_drop_rate=0.,
    drop_path_rate=0.1)
head = dict(in_channels=[32, 64, 160, 256], channels=64)
model = dict(backbone=backbone, backbone_to=backbone, decode_head=head)
