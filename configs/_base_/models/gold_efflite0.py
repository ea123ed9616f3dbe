# GOLD with EfficientNet-Lite0 encoders and a teacher that sees all images.
# Alignment with the guide helps at first and is in the way later: SAR cannot
# show all that the guide shows, so the term never gets small.
# AdamW does not care for the scale of a loss that alone reaches a parameter:
# the teacher's head learns as fast with 0.4, its encoders follow the student.
_base_ = './gold-student_efflite0.py'
model = dict(
    type='TripleBranchDetector',
    teacher_inputs='from+to+guide',
    detach_to=True,
    teacher_interaction=False,
    teacher_head=dict(num_inputs=3, **_base_.head),
    distill_losses=[
        dict(type='LogitDistillLoss', temperature=2.0, reduction='pixel'),
        dict(type='GuideAlignLoss', channels=_base_.neck.channels),
    ],
    loss_weighting=dict(
        type='FixedWeighting',
        groups=dict(
            cd=dict(student=1.0, teacher=0.4),
            distill=dict(output=1.0, guide=4.0)),
        schedules=dict(
            output=dict(kind='cosine', epochs=2),
            guide=dict(kind='inverse', epochs=1))),
    test_cfg=dict(evaluate_teacher=True))
