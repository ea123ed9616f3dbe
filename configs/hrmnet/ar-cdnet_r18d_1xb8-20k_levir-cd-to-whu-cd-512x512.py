# Trained on LEVIR-CD, tested on WHU-CD (BCDD): the authors' test across sets.
_base_ = './ar-cdnet_r18d_1xb8-20k_levir-cd-512x512.py'
test_dataloader = dict(
    dataset=dict(type='WHUCDDataset', data_root='data/WHU-CD-512'))
