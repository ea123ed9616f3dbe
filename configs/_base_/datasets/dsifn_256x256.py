# DSIFN, folders t1, t2, mask: as released, 512 pixels, where training takes
# windows of 256 and testing whole images, or cut to 256 pixels:
#   python tools/dataset_converters/crop_pairs.py DSIFN data/DSIFN --size 256 \
#       --folders t1 t2 mask
_base_ = './pair_256x256.py'
data_root = 'data/DSIFN'
crop_size = (256, 256)
train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='MultiImgRandomCrop', crop_size=crop_size),
    *_base_.train_pipeline[2:]
]
dataset = dict(type='DSIFNDataset', data_root=data_root)
train_dataloader = dict(
    dataset=dict(
        pipeline=train_pipeline,
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
