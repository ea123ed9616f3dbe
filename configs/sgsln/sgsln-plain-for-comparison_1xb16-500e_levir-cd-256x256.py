# SGSLN written the plain way: each date by its own call, maps upsampled and
# concatenated before 1x1 convolutions, both softmax weights of the fusion,
# contiguous memory format, float32. The same weights and the same result; it
# exists to measure what the fast form gains
# (tools/analysis_tools/benchmark.py --vs).
_base_ = './sgsln_1xb16-500e_levir-cd-256x256.py'
optim_wrapper = dict(type='OptimWrapper')
model = dict(
    neck=dict(plain=True),
    decode_head=dict(plain=True),
    batch_dates=False,
    channels_last=False)
