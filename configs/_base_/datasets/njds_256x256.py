# NJDS: one large scene, cut to 256 pixels: tools/dataset_converters/crop_pairs.py.
_base_ = './pair_256x256.py'
data_root = 'data/NJDS-256'
dataset = dict(type='NJDSDataset', data_root=data_root)
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='train/t1',
            img_path_to='train/t2',
            seg_map_path='train/label'),
        **dataset))
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='val/t1',
            img_path_to='val/t2',
            seg_map_path='val/label'),
        **dataset))
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='test/t1',
            img_path_to='test/t2',
            seg_map_path='test/label'),
        **dataset))
