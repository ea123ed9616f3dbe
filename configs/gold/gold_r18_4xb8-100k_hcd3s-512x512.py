# GOLD, the standard model, on HCD-3S. The losses are the correct forms of the
# authors' (README.md, "What differs").
_base_ = [
    '../_base_/models/gold_r18.py', '../_base_/datasets/hcd3s_512x512.py',
    '../_base_/schedules/schedule_100k.py', '../_base_/default_runtime.py'
]
