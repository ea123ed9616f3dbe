# Four partitions. Step 2 with lists of
# split_by_car.py --thresholds 0.05 0.2 0.5 --lists lists-4.
small = None
medium = None
large = None
largest = None
_base_ = './mtkd-changer-mit-b0_1xb8-200k_jl1cd-512x512.py'
model = dict(
    teachers=dict(
        _delete_=True,
        s=dict(checkpoint=small),
        m=dict(checkpoint=medium),
        l=dict(checkpoint=large),
        xl=dict(checkpoint=largest)),
    router=dict(thresholds=(0.05, 0.2, 0.5)))
