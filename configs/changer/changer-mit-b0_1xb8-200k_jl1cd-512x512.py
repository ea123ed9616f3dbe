# ChangerEx MiT-b0 on JL1-CD: step 1 of MTKD, the original model.
_base_ = [
    '../_base_/models/changer_mit-b0.py',
    '../_base_/datasets/jl1cd_512x512.py',
    '../_base_/schedules/schedule_mtkd_200k.py', '../_base_/default_runtime.py'
]
