# The student alone, same data, schedule and seeds as GOLD beside it.
_base_ = [
    '../_base_/models/gold-student_efflite0.py',
    '../_base_/datasets/ombria_256x256.py',
    '../_base_/schedules/schedule_1500.py', '../_base_/default_runtime.py'
]
