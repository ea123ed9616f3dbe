_base_ = [
    '../_base_/models/changer_r18.py', '../_base_/datasets/jl1cd_512x512.py',
    '../_base_/schedules/schedule_mtkd_200k.py', '../_base_/default_runtime.py'
]
optim_wrapper = dict(
    optimizer=dict(lr=5e-3, weight_decay=0.05),
    paramwise_cfg=dict(_delete_=True))
