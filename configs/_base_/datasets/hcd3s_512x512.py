# HCD-3S: optical before, SAR after, optical after as the guide of training.
# Augmentation is that of GOLD, but for this: colours are distorted on optical
# images only, nothing is blurred, and corners that a rotation brings in are
# ignored instead of unchanged; published_pipeline has the authors' choice. The
# SAR files of the set have three bands.
dataset_type = 'HCD3SDataset'
data_root = 'data/HCD-3S'
crop_size = (512, 512)

load_triplet = dict(
    type='MultiImgLoadImageFromFile',
    color_order='rgb',
    channels=(3, 3, 3))
geometry = [
    dict(type='MultiImgRandomFlip', prob=0.5, direction='horizontal'),
    dict(type='MultiImgRandomFlip', prob=0.5, direction='vertical'),
    dict(
        type='MultiImgRandomResize',
        scale=crop_size,
        ratio_range=(1.0, 1.2),
        interpolation='bicubic')
]
train_pipeline = [
    load_triplet,
    dict(type='MultiImgLoadAnnotations'),
    dict(type='MultiImgRandomRotate', prob=0.5, degree=180),
    *geometry,
    dict(
        type='MultiImgRandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(
        type='MultiImgPhotoMetricDistortion',
        brightness_delta=10,
        contrast_range=(0.8, 1.2),
        saturation_range=(0.8, 1.2),
        hue_delta=10),
    dict(type='MultiImgPackSegInputs')
]
both = ('optical', 'sar')
published_pipeline = [
    load_triplet,
    dict(type='MultiImgLoadAnnotations'),
    dict(
        type='MultiImgRandomRotate', prob=0.5, degree=180, seg_pad_val=0),
    *geometry,
    dict(type='MultiImgRandomCrop', crop_size=crop_size),
    dict(
        type='MultiImgGaussianBlur', prob=1., sigma=(0., 1.), sensors=both),
    dict(
        type='MultiImgColorJitter',
        brightness=10 / 255,
        contrast=0.2,
        saturation=0.2,
        hue=10 / 180,
        sensors=both),
    dict(type='MultiImgPackSegInputs')
]
test_pipeline = [
    load_triplet,
    dict(type='MultiImgLoadAnnotations'),
    dict(type='MultiImgPackSegInputs')
]
tta_pipeline = [
    load_triplet,
    dict(
        type='TestTimeAug',
        transforms=[[
            dict(type='MultiImgRandomFlip', prob=0., direction='horizontal'),
            dict(type='MultiImgRandomFlip', prob=1., direction='horizontal'),
            dict(type='MultiImgRandomFlip', prob=1., direction='vertical')
        ], [dict(type='MultiImgLoadAnnotations')],
                    [dict(type='MultiImgPackSegInputs')]])
]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path_from='train/A',
            img_path_to='train/B',
            img_path_guide='train/C',
            seg_map_path='train/Label'),
        pipeline=train_pipeline))
# With the guide, so that the teacher can be measured beside the student.
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path_from='val/A',
            img_path_to='val/B',
            img_path_guide='val/C',
            seg_map_path='val/Label'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path_from='test/A',
            img_path_to='test/B',
            seg_map_path='test/Label'),
        test_mode=True,
        pipeline=test_pipeline))

val_evaluator = dict(type='ChangeMetric')
test_evaluator = val_evaluator
