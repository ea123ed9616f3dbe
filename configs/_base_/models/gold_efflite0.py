# GOLD with EfficientNet-Lite0 encoders and a teacher that sees all images.
_base_ = './gold-student_efflite0.py'
model = dict(
    type='TripleBranchDetector',
    teacher_inputs='from+to+guide',
    teacher_interaction=False,
    teacher_head=dict(num_inputs=3, **_base_.head),
    distill_losses=[
        dict(type='LogitDistillLoss', temperature=2.0, reduction='pixel'),
    ],
    loss_weighting=dict(
        type='FixedWeighting',
        groups=dict(
            cd=dict(student=1.0, teacher=1.0), distill=dict(output=1.0)),
        schedules=dict(output=dict(kind='cosine', epochs=2))),
    test_cfg=dict(evaluate_teacher=True))
