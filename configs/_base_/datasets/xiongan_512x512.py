# XiongAn, the set of HeteCD: optical before, SAR after, both of three bands.
# Augmentation is that of its authors, but for this: colours are distorted on
# optical images only, and those are blurred half of the time.
# published_pipeline has the authors' choice.
_base_ = './pair_512x512.py'
crop_size = (512, 512)

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
    _base_.load_pair,
    dict(type='MultiImgLoadAnnotations'), *geometry,
    dict(type='MultiImgGaussianBlur', prob=0.5, sigma=(0., 1.)), jitter,
    dict(type='MultiImgPackSegInputs')
]
both = ('optical', 'sar')
published_pipeline = [
    _base_.load_pair,
    dict(type='MultiImgLoadAnnotations'), *geometry,
    dict(
        type='MultiImgGaussianBlur', prob=1., sigma=(0., 1.), sensors=both),
    dict(sensors=both, **jitter),
    dict(type='MultiImgPackSegInputs')
]

dataset = dict(type='XiongAnDataset', data_root='data/XiongAn')
train_dataloader = dict(
    batch_size=4,
    sampler=dict(type='SeededDefaultSampler'),
    dataset=dict(pipeline=train_pipeline, **dataset))
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
