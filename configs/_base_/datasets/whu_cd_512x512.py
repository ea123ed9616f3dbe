# WHU building change detection (BCDD), files as for whu_cd_256x256.py, cut to
# 512 pixels, with lists:
#   python tools/dataset_converters/crop_pairs.py WHU-CD WHU-patches --size 512
#   python tools/dataset_converters/split_pairs.py WHU-patches data/WHU-CD-512 \
#       --by-band
#   python tools/dataset_converters/make_lists.py data/WHU-CD-512
_base_ = './pair_512x512.py'
data_root = 'data/WHU-CD-512'
dataset = dict(type='WHUCDDataset', data_root=data_root)
train_dataloader = dict(
    dataset=dict(ann_file='train/list/train.txt', **dataset))
val_dataloader = dict(
    dataset=dict(ann_file='val/list/val.txt', **dataset))
test_dataloader = dict(
    dataset=dict(ann_file='test/list/test.txt', **dataset))
