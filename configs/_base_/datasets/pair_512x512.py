# Two optical dates in patches of 512 pixels, any set in the folders A, B, label;
# the pipeline of HRMNet, which knows no colours.
dataset_type = 'OpticalPairDataset'
data_root = 'data/pairs'

load_pair = dict(
    type='MultiImgLoadImageFromFile', color_order='rgb', channels=(3, 3))
train_pipeline = [
    load_pair,
    dict(type='MultiImgLoadAnnotations'),
    dict(type='MultiImgRandomZoom', prob=0.5, max_share=60 / 512),
    dict(type='MultiImgRandomFlip', prob=0.5, direction='vertical'),
    dict(type='MultiImgRandomFlip', prob=0.5, direction='horizontal'),
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
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
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
