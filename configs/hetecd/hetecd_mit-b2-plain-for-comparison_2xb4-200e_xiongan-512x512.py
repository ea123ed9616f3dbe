# The standard model with its head written the plain way: 3D convolutions of one
# channel, all volumes kept for the backward pass, scales resized and
# concatenated. The same weights and the same result; it exists to measure what
# the fast form gains (tools/analysis_tools/benchmark.py --vs).
_base_ = './hetecd_mit-b2_2xb4-200e_xiongan-512x512.py'
model = dict(decode_head=dict(plain=True))
