# HRMNet's network as student and as teacher, which sees the optical pair; each
# head supervises its masks and its hard region. Terms and weights are those of
# gold_efflite0_1xb8-1500_ombria-256x256.
_base_ = '../hrmnet/hrmnet_efflite0_1xb8-1500_ombria-256x256.py'
model = dict(
    type='TripleBranchDetector',
    teacher_inputs='from+guide',
    teacher_head={
        **_base_.model.decode_head, 'image_channels': 3
    },
    distill_losses=[
        dict(type='LogitDistillLoss', temperature=2.0, reduction='pixel'),
    ],
    loss_weighting=dict(
        type='FixedWeighting',
        groups=dict(
            cd=dict(student=1.0, teacher=1.0), distill=dict(output=1.0)),
        schedules=dict(output=dict(kind='cosine', epochs=2))),
    test_cfg=dict(evaluate_teacher=True))
