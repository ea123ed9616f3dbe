# The later variant of GOLD: HeteCD's encoders and decoder, a decoder of its own
# for the teacher, losses between stages of the encoders, fixed weights.
_base_ = './hetecd_mit-b2.py'
model = dict(
    type='TripleBranchDetector',
    data_preprocessor=dict(
        channels=(3, 3, 3), mean=[0., 0., 0.], std=[255., 255., 255.]),
    teacher_inputs='from+guide',
    teacher_head=_base_.head,
    detach_from=False,
    copy_classifier=False,
    feature_losses=[],
    distill_losses=[
        dict(
            type='LogitDistillLoss',
            temperature=8.0,
            reduction='pixel',
            max_value=50.0),
        dict(type='PyramidFeatureLoss', mask=(3.0, 1.0)),
        dict(type='PyramidAlignLoss', temperature=4.0),
        dict(type='PyramidAttentionLoss'),
    ],
    loss_weighting=dict(
        type='FixedWeighting',
        groups=dict(
            cd=dict(student=1.0, teacher=0.12),
            distill=dict(output=5e-3, feature=0.5),
            align=dict(align_student=0.045, align_teacher=0.03),
            att=dict(map=0.3, channel=0.125, spatial=0.075)),
        schedules=dict(
            teacher=dict(kind='linear', epochs=8),
            output=dict(kind='linear', epochs=12),
            map=dict(kind='linear', epochs=12),
            channel=dict(kind='linear', epochs=12),
            spatial=dict(kind='linear', epochs=12),
            align_student=dict(kind='inverse', epochs=1),
            align_teacher=dict(kind='inverse', epochs=1))),
    test_cfg=dict(evaluate_teacher=True))
