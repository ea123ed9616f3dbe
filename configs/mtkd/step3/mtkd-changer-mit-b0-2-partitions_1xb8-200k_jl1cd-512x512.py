# Two partitions. Step 2 with lists of
# split_by_car.py --thresholds 0.1 --lists lists-2.
small = None
large = None
_base_ = './mtkd-changer-mit-b0_1xb8-200k_jl1cd-512x512.py'
model = dict(
    teachers=dict(
        _delete_=True, s=dict(checkpoint=small), l=dict(checkpoint=large)),
    router=dict(thresholds=(0.1, )))
