# MTKD on SYSU-CD, step 1: the original model, on all of the training set.
_base_ = '../../changer/changer-mit-b0_1xb8-200k_sysu-cd-256x256.py'
