# The standard model written the plain way: each date encoded by its own call,
# scales resized and concatenated before a 1x1 convolution, contiguous memory
# format, float32. The same weights and the same result; it exists to measure
# what the fast form gains (tools/analysis_tools/benchmark.py --vs).
_base_ = './gold_r18_4xb8-100k_hcd3s-512x512.py'
optim_wrapper = dict(type='OptimWrapper')
model = dict(
    neck=dict(plain=True),
    neck_to=dict(plain=True),
    decode_head=dict(plain=True),
    teacher_head=dict(plain=True),
    batch_dates=False,
    channels_last=False,
    test_cfg=dict(precision='float32'))
