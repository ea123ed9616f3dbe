# ChangerEx MiT-b0 on SYSU-CD: step 1 of MTKD, the original model.
_base_ = [
    '../_base_/models/changer_mit-b0.py',
    '../_base_/datasets/sysu_cd_256x256.py',
    '../_base_/schedules/schedule_mtkd_200k.py', '../_base_/default_runtime.py'
]
# The authors' head is our neck, interaction and head.
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(
            neck=dict(lr_mult=10.),
            interaction=dict(lr_mult=10.),
            decode_head=dict(lr_mult=10.),
            norm=dict(decay_mult=0.))))
