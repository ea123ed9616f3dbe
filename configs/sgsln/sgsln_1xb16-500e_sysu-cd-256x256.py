# SGSLN on SYSU-CD, by the authors' recipe.
_base_ = [
    '../_base_/models/sgsln.py', '../_base_/datasets/pair_256x256.py',
    '../_base_/schedules/schedule_sgsln_500e.py',
    '../_base_/epoch_runtime.py'
]
dataset = dict(type='SYSUCDDataset', data_root='data/SYSU-CD')
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='train/time1',
            img_path_to='train/time2',
            seg_map_path='train/label'),
        **dataset))
val_dataloader = dict(
    dataset=dict(
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
default_hooks = dict(checkpoint=dict(save_best='F1'))
randomness = dict(seed=42)
