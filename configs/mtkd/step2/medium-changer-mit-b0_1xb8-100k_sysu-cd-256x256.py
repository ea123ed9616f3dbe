# MTKD on SYSU-CD, step 2: the teacher for medium change area ratios.
_base_ = './small-changer-mit-b0_1xb8-100k_sysu-cd-256x256.py'
train_dataloader = dict(dataset=dict(ann_file='lists/train_m.txt'))
val_dataloader = dict(dataset=dict(ann_file='lists/val_m.txt'))
