# Triplets of tools/dataset_converters/make_synthetic.py: optical before, SAR
# after, optical after as the guide of training; laid out as OMBRIA's.
_base_ = './ombria_256x256.py'
data_root = 'data/synthetic'
dataset = dict(type='SyntheticChangeDataset', data_root=data_root)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
