# Step 3 written the plain way: the student's head twice, a teacher for one
# sample at a time, each date by its own call, scales concatenated before a 1x1
# convolution. The same weights and, but for dropout, the same result; it exists
# to measure what the fast form gains (tools/analysis_tools/benchmark.py --vs).
_base_ = './mtkd-changer-mit-b0_1xb8-200k_jl1cd-512x512.py'
model = dict(
    student=dict(batch_dates=False, neck=dict(plain=True)), plain=True)
