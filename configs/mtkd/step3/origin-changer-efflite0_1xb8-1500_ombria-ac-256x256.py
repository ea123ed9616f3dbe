# What the student of step 3 is compared with: the original model of step 1,
# trained on as long, without teachers. Its checkpoint: here, or by
# --cfg-options load_from=PATH.
_base_ = '../../changer/changer-efflite0_1xb8-1500_ombria-ac-256x256.py'
load_from = None
