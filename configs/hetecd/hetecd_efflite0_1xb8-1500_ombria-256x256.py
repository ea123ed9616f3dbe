# HeteCD's head on pretrained encoders that the package index
# carries: data, schedule and seeds of the student of GOLD
# (gold-student_efflite0_1xb8-1500_ombria-256x256.py).
_base_ = [
    '../_base_/models/hetecd_efflite0.py',
    '../_base_/datasets/ombria_256x256.py',
    '../_base_/schedules/schedule_1500.py',
    '../_base_/default_runtime.py'
]
