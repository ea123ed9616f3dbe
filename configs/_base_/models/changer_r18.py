# ChangerEx with ResNet-18, trained from scratch as its authors do.
_base_ = './changer_mit-b0.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmseg.ResNetV1c',
        depth=18,
        in_channels=3,
        num_stages=4,
        strides=(1, 2, 2, 2),
        dilations=(1, 1, 1, 1),
        out_indices=(0, 1, 2, 3),
        style='pytorch',
        contract_dilation=True,
        norm_cfg=_base_.norm_cfg,
        norm_eval=False),
    neck=dict(in_channels=[64, 128, 256, 512]),
    channels_last=True)
