# Changer on the optical pair of OMBRIA, by the protocol of
# configs/gold/gold-student_efflite0_1xb8-1500_ombria-256x256.py.
_base_ = [
    '../_base_/models/changer_efflite0.py',
    '../_base_/datasets/ombria-ac_256x256.py',
    '../_base_/schedules/schedule_1500.py', '../_base_/default_runtime.py'
]
