# schedule_mtkd_200k.py in half the time: the teachers of MTKD.
_base_ = './schedule_mtkd_200k.py'
max_iters = 100000
warm_up, decay = _base_.param_scheduler
param_scheduler = [warm_up, dict(decay, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=2500)
