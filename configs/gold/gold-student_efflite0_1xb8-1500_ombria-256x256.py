# The student alone, same data, schedule and seeds as GOLD beside it.
_base_ = [
    '../_base_/models/gold-student_efflite0.py',
    '../_base_/datasets/ombria_256x256.py',
    '../_base_/schedules/schedule_1500.py', '../_base_/default_runtime.py'
]
optim_wrapper = dict(
    type='Bf16OptimWrapper', clip_grad=dict(max_norm=5.0, norm_type=2))
