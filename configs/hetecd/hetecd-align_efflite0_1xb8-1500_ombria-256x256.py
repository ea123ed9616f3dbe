# With the alignment loss as published, all else alike.
_base_ = './hetecd_efflite0_1xb8-1500_ombria-256x256.py'
model = dict(
    feature_losses=[
        dict(
            type='FeatureAlignLoss',
            loss_weight=2.0,
            schedule=dict(kind='inverse', epochs=1)),
    ])
