"""SGSLN with the options that the authors published.

What their checkpoints load into: `tools/model_converters/convert.py sgsln`.
Each date is encoded by its own call, as in their training.
"""
_base_ = './sgsln_1xb16-500e_levir-cd-256x256.py'
model = dict(batch_dates=False)
