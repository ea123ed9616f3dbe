# MTKD on JL1-CD, step 1: the original model, on all of the training set.
_base_ = '../../changer/changer-mit-b0_1xb8-200k_jl1cd-512x512.py'
