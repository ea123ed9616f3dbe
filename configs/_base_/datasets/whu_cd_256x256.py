# WHU building change detection (BCDD), two large scenes, cut to 256 pixels:
# tools/dataset_converters/crop_pairs.py.
_base_ = './pair_256x256.py'
data_root = 'data/WHU-CD-256'
dataset = dict(type='WHUCDDataset', data_root=data_root)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
