# CDD (SVCD, Real/subset): JPEG, folders A, B, OUT. The labels were compressed
# with loss; 128 parts their values.
_base_ = './pair_256x256.py'
data_root = 'data/CDD'
dataset = dict(
    type='CDDDataset', data_root=data_root, label_threshold=128)
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='train/A',
            img_path_to='train/B',
            seg_map_path='train/OUT'),
        **dataset))
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='val/A',
            img_path_to='val/B',
            seg_map_path='val/OUT'),
        **dataset))
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='test/A',
            img_path_to='test/B',
            seg_map_path='test/OUT'),
        **dataset))
