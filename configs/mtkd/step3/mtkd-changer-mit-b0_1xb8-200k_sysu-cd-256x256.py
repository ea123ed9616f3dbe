# MTKD on SYSU-CD, step 3: the student, from the original model of step 1.
# Checkpoints of steps 1 and 2: here, or by --cfg-options
# model.student_checkpoint=PATH model.teachers.s.checkpoint=PATH and so on.
initial = None
small = None
medium = None
large = None
_base_ = '../../changer/changer-mit-b0_1xb8-200k_sysu-cd-256x256.py'
model = dict(
    _delete_=True,
    type='MultiTeacherDetector',
    student={{_base_.model}},
    student_checkpoint=initial,
    teachers=dict(
        s=dict(checkpoint=small),
        m=dict(checkpoint=medium),
        l=dict(checkpoint=large)),
    router=dict(type='ChangeAreaRouter', thresholds=(0.05, 0.2)),
    distill_losses=[dict(type='TeacherSquareLoss', loss_weight=1e-4)])
