# MCD, mines, cut to 512 pixels; any value above 0 is change:
#   python tools/dataset_converters/split_scenes.py MCD data/MCD-512
_base_ = './pair_512x512.py'
data_root = 'data/MCD-512'
dataset = dict(type='MCDDataset', data_root=data_root, label_threshold=1)
train_dataloader = dict(
    dataset=dict(ann_file='train/list/train.txt', **dataset))
val_dataloader = dict(
    dataset=dict(ann_file='val/list/val.txt', **dataset))
test_dataloader = dict(
    dataset=dict(ann_file='test/list/test.txt', **dataset))
