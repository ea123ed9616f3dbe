# MTKD on the optical pair of OMBRIA, step 2: the teacher for small change area
# ratios. tools/dataset_converters/split_by_car.py writes the lists.
_base_ = '../../changer/changer-efflite0_1xb8-1500_ombria-ac-256x256.py'
train_dataloader = dict(dataset=dict(ann_file='lists/train_s.txt'))
val_dataloader = dict(dataset=dict(ann_file='lists/val_s.txt'))
