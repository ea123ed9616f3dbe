# The practical default: pretrained encoders that the package index carries,
# trained on two CPU cores in bfloat16. The protocol of docs/benchmarks.md:
# train on train, choose the checkpoint by val, look at test once.
_base_ = [
    '../_base_/models/gold_efflite0.py',
    '../_base_/datasets/ombria_256x256.py',
    '../_base_/schedules/schedule_1500.py', '../_base_/default_runtime.py'
]
