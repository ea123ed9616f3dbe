# GOLD as the student and as its teachers: those of step 2 are
# configs/gold/gold_efflite0_1xb8-1500_ombria-256x256.py with
# train_dataloader.dataset.ann_file=lists/train_s.txt and so on.
initial = None
small = None
medium = None
large = None
_base_ = '../../gold/gold_efflite0_1xb8-1500_ombria-256x256.py'
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
    distill_losses=[
        dict(type='LogitDistillLoss', temperature=2.0, reduction='pixel')
    ])
