"""HRMNet with the options that the authors published.

What their checkpoints load into: `tools/model_converters/convert.py hrmnet`.
Each date is encoded by its own call, as in their training.
"""
_base_ = ['../_base_/models/hrmnet_r18d.py', '../_base_/default_runtime.py']
model = dict(batch_dates=False)
