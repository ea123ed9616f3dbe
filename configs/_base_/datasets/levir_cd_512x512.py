# LEVIR-CD, cut to 512 pixels: tools/dataset_converters/crop_pairs.py.
_base_ = './pair_512x512.py'
data_root = 'data/LEVIR-CD-512'
dataset = dict(type='LEVIRCDDataset', data_root=data_root)
train_dataloader = dict(
    dataset=dict(ann_file='train/list/train.txt', **dataset))
val_dataloader = dict(
    dataset=dict(ann_file='val/list/val.txt', **dataset))
test_dataloader = dict(
    dataset=dict(ann_file='test/list/test.txt', **dataset))
