# Two optical dates in patches of 256 pixels, any set in the folders A, B, label;
# the pipeline of SGSLN. Mirrored borders instead of ignored ones are its
# authors' choice. The last batch of an epoch is filled up with samples of its
# beginning; theirs is smaller.
dataset_type = 'OpticalPairDataset'
data_root = 'data/pairs'

load_pair = dict(
    type='MultiImgLoadImageFromFile', color_order='rgb', channels=(3, 3))
train_pipeline = [
    load_pair,
    dict(type='MultiImgLoadAnnotations'),
    dict(
        type='MultiImgRandomFlip',
        prob=0.5,
        direction=['vertical', 'horizontal', 'diagonal']),
    dict(type='MultiImgRandomTranspose', prob=0.5),
    dict(
        type='MultiImgRandomAffine', prob=0.3, degree=45, border='reflect'),
    dict(
        type='MultiImgRandomAffine',
        prob=0.3,
        degree=45,
        scale_range=(0.9, 1.1),
        shift=0.0625,
        border='reflect'),
    dict(type='MultiImgRandomPhotometric', prob=0.3),
    dict(type='MultiImgExchangeTime', prob=0.5),
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
    batch_size=16,
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
    batch_size=32,
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
    batch_size=32,
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
