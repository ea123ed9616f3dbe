"""MTKD with ChangerEx MiT-b0 as Open-CD's port trains it, defects included.

What its checkpoints load into: `tools/model_converters/convert.py mtkd`; they
bring their teachers. Train with a config of step3; the README says what
differs.
"""
_base_ = '../changer/changer-mit-b0_reference.py'
model = dict(
    _delete_=True,
    type='MultiTeacherDetector',
    student={{_base_.model}},
    teachers=dict(
        s=dict(checkpoint=None),
        m=dict(checkpoint=None),
        l=dict(checkpoint=None)),
    router=dict(
        type='ChangeAreaRouter', thresholds=(0.05, 0.2), count_ignored=True),
    distill_losses=[
        dict(type='TeacherDivergenceLoss', temperature=2., loss_weight=0.),
        dict(type='TeacherSquareLoss', loss_weight=1e-3),
    ],
    count_distill=False,
    teachers_in_training_mode=True,
    plain=True)
