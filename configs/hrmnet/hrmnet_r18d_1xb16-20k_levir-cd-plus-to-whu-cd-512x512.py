# Trained on LEVIR-CD+, tested on WHU-CD: the authors' test across sets.
_base_ = './hrmnet_r18d_1xb16-20k_levir-cd-plus-512x512.py'
test_dataloader = dict(
    dataset=dict(type='WHUCDDataset', data_root='data/WHU-CD-512'))
