# HCD-3S with the augmentation of GOLD's later variant, but for this: only
# optical images are blurred.
_base_ = './hcd3s_512x512.py'
train_pipeline = [
    _base_.load_triplet,
    dict(type='MultiImgLoadAnnotations'),
    dict(type='MultiImgRandomFlip', prob=0.5, direction='horizontal'),
    dict(type='MultiImgRandomFlip', prob=0.5, direction='vertical'),
    dict(
        type='RandomApply',
        transforms=dict(
            type='MultiImgRandomResize',
            scale=_base_.crop_size,
            ratio_range=(1.0, 1.2),
            interpolation='bicubic'),
        prob=0.5),
    dict(type='MultiImgRandomCrop', crop_size=_base_.crop_size),
    dict(type='MultiImgGaussianBlur', prob=0.5, sigma=(0., 1.)),
    dict(
        type='MultiImgColorJitter',
        brightness=0.3,
        contrast=0.3,
        saturation=0.3,
        hue=0.1,
        prob=0.5,
        shared=True),
    dict(type='MultiImgPackSegInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
