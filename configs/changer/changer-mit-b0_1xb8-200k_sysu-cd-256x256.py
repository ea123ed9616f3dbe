# ChangerEx MiT-b0 on SYSU-CD: step 1 of MTKD, the original model.
_base_ = [
    '../_base_/models/changer_mit-b0.py',
    '../_base_/datasets/sysu_cd_256x256.py',
    '../_base_/schedules/schedule_mtkd_200k.py', '../_base_/default_runtime.py'
]
