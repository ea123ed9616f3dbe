"""GOLD with the options that the authors published, defects included.

What their checkpoints load into: `tools/model_converters/convert.py gold`.
Train with another config of this folder; the README says what differs.
"""
_base_ = [
    '../_base_/models/gold_r18.py', '../_base_/datasets/hcd3s_512x512.py',
    '../_base_/schedules/schedule_gold_400e.py', '../_base_/epoch_runtime.py'
]
code_form = [
    dict(type='ChangeCrossEntropyLoss', class_weight=[0.1, 0.9]),
    dict(type='ChangeDiceLoss', mode='code', loss_weight=1.5),
]
model = dict(
    decode_head=dict(align_corners=True, loss_decode=code_form),
    teacher_head=dict(align_corners=True, loss_decode=code_form),
    loss_weighting=dict(
        task_limits=dict(cd=(0.6, None), distill=(None, 0.3),
                         att=(None, 0.2))))
train_dataloader = dict(
    drop_last=True,
    sampler=dict(type='SeededDefaultSampler'),
    dataset=dict(pipeline={{_base_.published_pipeline}}))
randomness = dict(seed=666)
