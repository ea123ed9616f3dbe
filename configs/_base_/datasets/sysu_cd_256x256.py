# SYSU-CD as released: two optical dates, train, val and test.
_base_ = './jl1cd_512x512.py'
dataset_type = 'SYSUCDDataset'
data_root = 'data/SYSU-CD'
crop_size = (256, 256)
train_pipeline = [
    _base_.load_pair,
    dict(type='MultiImgLoadAnnotations'),
    dict(type='MultiImgRandomRotate', prob=0.5, degree=180),
    dict(
        type='MultiImgRandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='MultiImgRandomFlip', prob=0.5, direction='horizontal'),
    dict(type='MultiImgRandomFlip', prob=0.5, direction='vertical'),
    dict(
        type='MultiImgPhotoMetricDistortion',
        brightness_delta=10,
        contrast_range=(0.8, 1.2),
        saturation_range=(0.8, 1.2),
        hue_delta=10),
    dict(type='MultiImgPackSegInputs')
]
dataset = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(
    dataset=dict(
        ann_file='',
        data_prefix=dict(
            img_path_from='train/time1',
            img_path_to='train/time2',
            seg_map_path='train/label'),
        pipeline=train_pipeline,
        **dataset))
val_dataloader = dict(
    dataset=dict(
        ann_file='',
        data_prefix=dict(
            img_path_from='val/time1',
            img_path_to='val/time2',
            seg_map_path='val/label'),
        **dataset))
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='test/time1',
            img_path_to='test/time2',
            seg_map_path='test/label'),
        **dataset))
