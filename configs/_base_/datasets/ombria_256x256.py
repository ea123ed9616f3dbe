# OMBRIA triplets: Sentinel-2 before, Sentinel-1 after, Sentinel-2 after as
# the guide of training. tools/dataset_converters/ombria.py makes the folders.
dataset_type = 'OmbriaDataset'
data_root = 'data/ombria'
crop_size = (128, 128)

# ImageNet's of the optical images; of SAR the middle and spread of its 8 bits.
triplet_preprocessor = dict(
    type='ChangeDataPreProcessor',
    channels=(3, 1, 3),
    mean=[[123.675, 116.28, 103.53], 111.0, [123.675, 116.28, 103.53]],
    std=[[58.395, 57.12, 57.375], 50.0, [58.395, 57.12, 57.375]])
load_triplet = dict(
    type='MultiImgLoadImageFromFile',
    color_order='rgb',
    channels=(3, 1, 3))
# No distortion of colours: the bands are false colour, where the hue is what is
# measured. One seed on val does not decide it (docs/benchmarks.md).
train_pipeline = [
    dict(
        type='MultiImgLoadImageFromFile',
        color_order='rgb',
        channels=(3, 1, 3),
        cache=True),
    dict(type='MultiImgLoadAnnotations', cache=True),
    dict(
        type='MultiImgRandomCrop', crop_size=crop_size, cat_max_ratio=0.95),
    dict(type='MultiImgRandomRotFlip', rotate_prob=0., flip_prob=1.),
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
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path_from='train/A',
            img_path_to='train/B',
            img_path_guide='train/C',
            seg_map_path='train/label'),
        pipeline=train_pipeline))
# With the guide, so that the teacher can be measured beside the student.
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path_from='val/A',
            img_path_to='val/B',
            img_path_guide='val/C',
            seg_map_path='val/label'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = dict(
    batch_size=8,
    num_workers=2,
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
