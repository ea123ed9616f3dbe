# MTKD on the optical pair of OMBRIA, step 1: the original model.
_base_ = '../../changer/changer-efflite0_1xb8-1500_ombria-ac-256x256.py'
