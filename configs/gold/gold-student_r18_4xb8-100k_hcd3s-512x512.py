# The student alone: what distillation is compared with.
_base_ = [
    '../_base_/models/gold-student_r18.py',
    '../_base_/datasets/hcd3s_512x512.py',
    '../_base_/schedules/schedule_100k.py', '../_base_/default_runtime.py'
]
