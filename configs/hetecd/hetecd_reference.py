"""HeteCD as its authors published it, defects included.

What their checkpoints load into: `tools/model_converters/convert.py hetecd`.
Train with another config of this folder; the README says what differs.
"""
_base_ = [
    '../_base_/models/hetecd_mit-b2.py',
    '../_base_/datasets/xiongan_512x512.py',
    '../_base_/schedules/schedule_hetecd_200e.py', '../_base_/epoch_runtime.py'
]
model = dict(
    decode_head=dict(loss_decode=[
        dict(type='ChangeCrossEntropyLoss'),
        dict(type='ChangeDiceLoss', mode='code'),
    ]),
    feature_losses=[
        dict(
            type='FeatureAlignLoss',
            loss_weight=2.0,
            schedule=dict(kind='inverse', epochs=1),
            where='all'),
    ])
train_dataloader = dict(
    dataset=dict(pipeline={{_base_.published_pipeline}}))
randomness = dict(seed=222)
