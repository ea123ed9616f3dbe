# SGSLN on LEVIR-CD, by the authors' recipe.
_base_ = [
    '../_base_/models/sgsln.py', '../_base_/datasets/levir_cd_256x256.py',
    '../_base_/schedules/schedule_sgsln_500e.py',
    '../_base_/epoch_runtime.py'
]
default_hooks = dict(checkpoint=dict(save_best='F1'))
randomness = dict(seed=42)
