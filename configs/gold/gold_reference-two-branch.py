"""The authors' network without distillation, for their checkpoints."""
_base_ = './gold_reference.py'
model = dict(
    _delete_=True,
    type='BitemporalDetector',
    data_preprocessor={{_base_.model.data_preprocessor}},
    backbone={{_base_.backbone}},
    backbone_to={{_base_.backbone}},
    neck={{_base_.neck}},
    neck_to={{_base_.neck}},
    decode_head=dict(
        type='MixFFNHead',
        in_channels=128,
        num_classes=2,
        align_corners=True,
        loss_decode={{_base_.code_form}}),
    channels_last=True,
    test_cfg=dict(mode='whole'))
