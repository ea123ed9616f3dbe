# A teacher that passes on logits alone: terms, weights, and when they begin.
teaching = dict(
    distill_losses=[
        dict(type='LogitDistillLoss', temperature=2.0, reduction='pixel'),
    ],
    loss_weighting=dict(
        type='FixedWeighting',
        groups=dict(
            cd=dict(student=1.0, teacher=1.0), distill=dict(output=1.0)),
        schedules=dict(output=dict(kind='cosine', epochs=2))))
