# Blur and colours as HeteCD's authors have them, on the SAR image too; all else
# alike.
_base_ = [
    './hetecd_mit-b0-light_1xb8-1500_ombria-256x256.py',
    '../_base_/augmentation/hetecd.py'
]
train_dataloader = dict(
    dataset=dict(pipeline=[
        *_base_.train_pipeline[:-1], *_base_.published_distortion,
        _base_.train_pipeline[-1]
    ]))
