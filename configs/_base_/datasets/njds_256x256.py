# NJDS: one large scene. Its three files get one name, as in NJDS/t1/nj.tif
# (2014), NJDS/t2/nj.tif (2018), NJDS/label/nj.tif; then they are cut, and bands
# of the scene shared out, so that no pixel is in two splits:
#   python tools/dataset_converters/crop_pairs.py NJDS NJDS-patches --size 256 \
#       --folders t1 t2 label
#   python tools/dataset_converters/split_pairs.py NJDS-patches data/NJDS-256 \
#       --folders t1 t2 label --by-band
_base_ = './pair_256x256.py'
data_root = 'data/NJDS-256'
dataset = dict(type='NJDSDataset', data_root=data_root)
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='train/t1',
            img_path_to='train/t2',
            seg_map_path='train/label'),
        **dataset))
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='val/t1',
            img_path_to='val/t2',
            seg_map_path='val/label'),
        **dataset))
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path_from='test/t1',
            img_path_to='test/t2',
            seg_map_path='test/label'),
        **dataset))
