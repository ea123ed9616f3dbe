# Everything about a run that is neither model, data nor schedule.
default_scope = 'opencd_gold'
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
randomness = dict(seed=0)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='AtomicCheckpointHook',
        by_epoch=False,
        interval=500,
        max_keep_ckpts=2,
        save_best='IoU',
        rule='greater'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='ChangeVisualizationHook'),
    random_state=dict(type='RandomStateHook'),
    curves=dict(type='LossCurveHook'))

# TensorBoard beside the local files, as one line of a config:
# visualizer = dict(vis_backends=[
#     dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
visualizer = dict(
    type='ChangeVisualizer',
    name='visualizer',
    vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False

tta_model = dict(type='ChangeTTAModel')
# Every parameter of every model here gets a gradient in each step.
find_unused_parameters = False
# Batch norm over all processes; left out where there is no CUDA.
sync_bn = 'torch'
