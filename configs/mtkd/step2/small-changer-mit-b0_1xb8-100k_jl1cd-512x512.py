# MTKD on JL1-CD, step 2: the teacher for small change area ratios, validated
# on that partition. tools/dataset_converters/split_by_car.py writes the lists.
_base_ = [
    '../../_base_/models/changer_mit-b0.py',
    '../../_base_/datasets/jl1cd_512x512.py',
    '../../_base_/schedules/schedule_mtkd_100k.py',
    '../../_base_/default_runtime.py'
]
train_dataloader = dict(dataset=dict(ann_file='lists/train_s.txt'))
val_dataloader = dict(dataset=dict(ann_file='lists/val_s.txt'))
