# S2Looking, folders Image1, Image2, label, cut to 256 pixels:
# tools/dataset_converters/crop_pairs.py.
_base_ = './pair_256x256.py'
data_root = 'data/S2Looking-256'
dataset = dict(type='S2LookingDataset', data_root=data_root)
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='train/Image1',
            img_path_to='train/Image2',
            seg_map_path='train/label'),
        **dataset))
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='val/Image1',
            img_path_to='val/Image2',
            seg_map_path='val/label'),
        **dataset))
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='test/Image1',
            img_path_to='test/Image2',
            seg_map_path='test/label'),
        **dataset))
