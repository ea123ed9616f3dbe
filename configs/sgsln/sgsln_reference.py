"""SGSLN with the options that the authors published.

What their checkpoints load into: `tools/model_converters/convert.py sgsln`.
Each date is encoded by its own call, as in their training.
"""
_base_ = ['../_base_/models/sgsln.py', '../_base_/default_runtime.py']
model = dict(batch_dates=False)
