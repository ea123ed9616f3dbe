# DSIFN, folders t1, t2, mask.
_base_ = './pair_256x256.py'
data_root = 'data/DSIFN'
dataset = dict(type='DSIFNDataset', data_root=data_root)
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='train/t1',
            img_path_to='train/t2',
            seg_map_path='train/mask'),
        **dataset))
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='val/t1',
            img_path_to='val/t2',
            seg_map_path='val/mask'),
        **dataset))
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='test/t1',
            img_path_to='test/t2',
            seg_map_path='test/mask'),
        **dataset))
