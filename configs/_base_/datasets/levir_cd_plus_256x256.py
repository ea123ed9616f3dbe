# LEVIR-CD+, cut to 256 pixels: tools/dataset_converters/crop_pairs.py.
# The release has train and test; split_pairs.py makes val out of train.
_base_ = './pair_256x256.py'
data_root = 'data/LEVIR-CD-plus-256'
dataset = dict(type='LEVIRCDPlusDataset', data_root=data_root)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
