# SGSLN on OMBRIA without SAR, Sentinel-2 before and after, from scratch.
_base_ = [
    '../_base_/models/sgsln.py', '../_base_/datasets/ombria-ac_256x256.py',
    '../_base_/schedules/schedule_1500.py', '../_base_/default_runtime.py'
]
model = dict(test_cfg=dict(precision='bfloat16'))
