# XiongAn, the set of HeteCD: optical before, SAR after, both of three bands.
# Augmentation is that of its authors, but for this: colours are distorted on
# optical images only, and those are blurred half of the time.
# published_pipeline has the authors' choice.
dataset_type = 'XiongAnDataset'
data_root = 'data/XiongAn'
crop_size = (512, 512)

load_pair = dict(
    type='MultiImgLoadImageFromFile', color_order='rgb', channels=(3, 3))
geometry = [
    dict(type='MultiImgResize', scale=crop_size, interpolation='bicubic'),
    dict(type='MultiImgRandomFlip', prob=0.5, direction='horizontal'),
    dict(type='MultiImgRandomFlip', prob=0.5, direction='vertical'),
    dict(
        type='MultiImgRandomResize',
        scale=crop_size,
        ratio_range=(1.0, 1.2),
        interpolation='bicubic'),
    dict(type='MultiImgRandomCrop', crop_size=crop_size)
]
# 0.3 of brightness, contrast and saturation; 0.3 of the circle of hues.
jitter = dict(
    type='MultiImgPhotoMetricDistortion',
    brightness_delta=38,
    contrast_range=(0.7, 1.3),
    saturation_range=(0.7, 1.3),
    hue_delta=54)
train_pipeline = [
    load_pair,
    dict(type='MultiImgLoadAnnotations'), *geometry,
    dict(type='MultiImgGaussianBlur', prob=0.5, sigma=(0., 1.)), jitter,
    dict(type='MultiImgPackSegInputs')
]
both = ('optical', 'sar')
published_pipeline = [
    load_pair,
    dict(type='MultiImgLoadAnnotations'), *geometry,
    dict(
        type='MultiImgGaussianBlur', prob=1., sigma=(0., 1.), sensors=both),
    dict(sensors=both, **jitter),
    dict(type='MultiImgPackSegInputs')
]
test_pipeline = [
    load_pair,
    dict(type='MultiImgLoadAnnotations'),
    dict(type='MultiImgPackSegInputs')
]
tta_pipeline = [
    load_pair,
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
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededDefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path_from='train/A',
            img_path_to='train/B',
            seg_map_path='train/label'),
        pipeline=train_pipeline))
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
            seg_map_path='val/label'),
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
            seg_map_path='test/label'),
        test_mode=True,
        pipeline=test_pipeline))

val_evaluator = dict(type='ChangeMetric')
test_evaluator = val_evaluator
