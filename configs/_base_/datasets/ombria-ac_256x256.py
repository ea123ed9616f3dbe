# OMBRIA without SAR: Sentinel-2 before and after, A and C of the triplets.
_base_ = './ombria_256x256.py'
load_pair = dict(
    type='MultiImgLoadImageFromFile', color_order='rgb', channels=(3, 3))
train_pipeline = [dict(cache=True, **load_pair), *_base_.train_pipeline[1:]]
test_pipeline = [load_pair, *_base_.test_pipeline[1:]]
tta_pipeline = [load_pair, *_base_.tta_pipeline[1:]]

optical_pair = dict(sensors=('optical', 'optical'))
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            _delete_=True,
            img_path_from='train/A',
            img_path_to='train/C',
            seg_map_path='train/label'),
        pipeline=train_pipeline,
        **optical_pair))
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            _delete_=True,
            img_path_from='val/A',
            img_path_to='val/C',
            seg_map_path='val/label'),
        pipeline=test_pipeline,
        **optical_pair))
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            _delete_=True,
            img_path_from='test/A',
            img_path_to='test/C',
            seg_map_path='test/label'),
        pipeline=test_pipeline,
        **optical_pair))
