# Without the alignment loss, all else alike.
_base_ = './hetecd_mit-b0-light_1xb8-1500_ombria-256x256.py'
model = dict(feature_losses=[])
