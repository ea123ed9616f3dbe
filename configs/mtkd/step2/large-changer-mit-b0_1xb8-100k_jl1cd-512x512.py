# MTKD on JL1-CD, step 2: the teacher for large change area ratios.
_base_ = './small-changer-mit-b0_1xb8-100k_jl1cd-512x512.py'
train_dataloader = dict(dataset=dict(ann_file='lists/train_l.txt'))
val_dataloader = dict(dataset=dict(ann_file='lists/val_l.txt'))
