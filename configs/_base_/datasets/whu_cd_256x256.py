# WHU building change detection (BCDD): one place in two large images. They and
# the label get one name, as in WHU-CD/A/whu.tif (2012), WHU-CD/B/whu.tif
# (2016), WHU-CD/label/whu.tif; then they are cut, and bands of the place shared
# out, so that no pixel is in two splits:
#   python tools/dataset_converters/crop_pairs.py WHU-CD WHU-patches --size 256
#   python tools/dataset_converters/split_pairs.py WHU-patches data/WHU-CD-256 \
#       --by-band
_base_ = './pair_256x256.py'
data_root = 'data/WHU-CD-256'
dataset = dict(type='WHUCDDataset', data_root=data_root)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
