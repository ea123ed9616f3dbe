# GOLD: the optical pair teaches the optical-SAR pair, both ResNet-18.
_base_ = './gold-student_r18.py'
model = dict(
    type='TripleBranchDetector',
    teacher_inputs='from+guide',
    teacher_head=dict(
        dropout_ratio=0.05, element_dropout=True, **_base_.head),
    distill_losses=[
        dict(type='FeatureDistillLoss', mask=(4.0, 0.5)),
        dict(type='LogitDistillLoss', temperature=2.0, reduction='mean'),
        dict(type='AttentionTransferLoss'),
    ],
    loss_weighting=dict(
        type='UncertaintyWeighting',
        groups=dict(
            cd=dict(student=1.0, teacher=0.4),
            distill=dict(feature=0.7, output=0.3),
            att=dict(map=0.5, channel=0.3, spatial=0.2)),
        task=dict(cd=1.0, distill=0.3, att=0.3),
        warmup_epochs=20,
        schedules=dict(
            teacher=dict(kind='cosine', epochs=20),
            feature=dict(kind='cosine', epochs=20),
            output=dict(kind='cosine', epochs=20))),
    test_cfg=dict(evaluate_teacher=True))
