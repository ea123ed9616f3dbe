"""ChangerEx MiT-b0 as Open-CD has it.

What its checkpoints load into: `tools/model_converters/convert.py changer`.
"""
_base_ = './changer-mit-b0_1xb8-200k_jl1cd-512x512.py'
model = dict(
    data_preprocessor=dict(test_cfg=dict(size_divisor=32)),
    neck=dict(plain=True),
    batch_dates=False)
