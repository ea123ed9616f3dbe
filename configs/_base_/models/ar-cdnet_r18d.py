# AR-CDNet, the older form of HRMNet: differences are learned, and deep maps
# weigh shallow ones before they are fused.
_base_ = './hrmnet_r18d.py'
model = dict(
    neck=dict(attention=True),
    decode_head=dict(attention=True, difference='learned'))
