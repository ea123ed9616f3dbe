# GOLD with EfficientNet-Lite0 encoders and a teacher that sees all images.
_base_ = ['./gold-student_efflite0.py', './gold_logits.py']
model = dict(
    type='TripleBranchDetector',
    teacher_inputs='from+to+guide',
    teacher_interaction=False,
    teacher_head=dict(num_inputs=3, **_base_.head),
    test_cfg=dict(evaluate_teacher=True),
    **_base_.teaching)
