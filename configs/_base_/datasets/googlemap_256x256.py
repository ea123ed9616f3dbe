# GoogleMap (GZ-CD): 19 scenes in the folders T1, T2, labels_change, cut to 256
# pixels, and the scenes shared out:
#   python tools/dataset_converters/crop_pairs.py GZ-CD GZ-patches --size 256 \
#       --folders T1 T2 labels_change
#   python tools/dataset_converters/split_pairs.py GZ-patches data/GZ-CD-256 \
#       --folders T1 T2 labels_change --by-scene
_base_ = './pair_256x256.py'
data_root = 'data/GZ-CD-256'
dataset = dict(type='GoogleMapDataset', data_root=data_root)
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='train/T1',
            img_path_to='train/T2',
            seg_map_path='train/labels_change'),
        **dataset))
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='val/T1',
            img_path_to='val/T2',
            seg_map_path='val/labels_change'),
        **dataset))
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='test/T1',
            img_path_to='test/T2',
            seg_map_path='test/labels_change'),
        **dataset))
