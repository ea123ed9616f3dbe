# MTKD on the optical pair of OMBRIA, step 2: the teacher for medium change area
# ratios.
_base_ = '../../changer/changer-efflite0_1xb8-1500_ombria-ac-256x256.py'
train_dataloader = dict(dataset=dict(ann_file='lists/train_m.txt'))
val_dataloader = dict(dataset=dict(ann_file='lists/val_m.txt'))
