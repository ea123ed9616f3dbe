# HRMNet written the plain way: each date and each texture by its own call,
# attention multiplied and added, contiguous memory format. The same weights and
# the same result; it exists to measure what the fast form gains
# (tools/analysis_tools/benchmark.py --vs).
_base_ = './hrmnet_r18d_1xb16-20k_levir-cd-plus-512x512.py'
model = dict(
    decode_head=dict(plain=True), batch_dates=False, channels_last=False)
