"""HRMNet with the options that the authors published.

What their checkpoints load into: `tools/model_converters/convert.py hrmnet`.
Each date, and the texture of each, is encoded by its own call, as in their
training.
"""
_base_ = './hrmnet_r18d_1xb16-20k_levir-cd-plus-512x512.py'
model = dict(decode_head=dict(plain=True), batch_dates=False)
