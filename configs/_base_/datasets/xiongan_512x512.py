# XiongAn, the set of HeteCD: optical before, SAR after, both of three bands.
# Augmentation is that of its authors, but for this: colours are distorted on
# optical images only, and those are blurred half of the time.
# published_pipeline has the authors' choice.
_base_ = ['./pair_512x512.py', '../augmentation/hetecd.py']
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
train_pipeline = [
    _base_.load_pair,
    dict(type='MultiImgLoadAnnotations'), *geometry,
    *_base_.optical_distortion,
    dict(type='MultiImgPackSegInputs')
]
published_pipeline = [
    _base_.load_pair,
    dict(type='MultiImgLoadAnnotations'), *geometry,
    *_base_.published_distortion,
    dict(type='MultiImgPackSegInputs')
]

dataset = dict(type='XiongAnDataset', data_root='data/XiongAn')
train_dataloader = dict(
    batch_size=4,
    sampler=dict(type='SeededDefaultSampler'),
    dataset=dict(pipeline=train_pipeline, **dataset))
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
