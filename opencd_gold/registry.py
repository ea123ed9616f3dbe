"""Registries of scope ``opencd_gold``, children of mmengine's roots.

Because they hang in the same tree as mmsegmentation's and Open-CD's, a config
may name ``mmseg.X``, ``opencd.X`` or ``opencd_gold.X`` wherever a module is
asked for. Every module is imported on first use, from ``locations``.
"""
from mmengine import registry as root
from mmengine.registry import Registry

_SCOPE = 'opencd_gold'

DATASETS = Registry(
    'dataset',
    parent=root.DATASETS,
    scope=_SCOPE,
    locations=['opencd_gold.datasets'])
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=root.DATA_SAMPLERS,
    scope=_SCOPE,
    locations=['opencd_gold.datasets'])
TRANSFORMS = Registry(
    'transform',
    parent=root.TRANSFORMS,
    scope=_SCOPE,
    locations=['opencd_gold.datasets.transforms'])
MODELS = Registry(
    'model',
    parent=root.MODELS,
    scope=_SCOPE,
    locations=['opencd_gold.models'])
MODEL_WRAPPERS = Registry(
    'model wrapper',
    parent=root.MODEL_WRAPPERS,
    scope=_SCOPE,
    locations=['opencd_gold.models'])
HOOKS = Registry(
    'hook',
    parent=root.HOOKS,
    scope=_SCOPE,
    locations=['opencd_gold.engine'])
LOOPS = Registry(
    'loop',
    parent=root.LOOPS,
    scope=_SCOPE,
    locations=['opencd_gold.engine'])
OPTIM_WRAPPERS = Registry(
    'optimizer wrapper',
    parent=root.OPTIM_WRAPPERS,
    scope=_SCOPE,
    locations=['opencd_gold.engine'])
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=root.OPTIM_WRAPPER_CONSTRUCTORS,
    scope=_SCOPE,
    locations=['opencd_gold.engine'])
OPTIMIZERS = Registry(
    'optimizer',
    parent=root.OPTIMIZERS,
    scope=_SCOPE,
    locations=['opencd_gold.engine'])
PARAM_SCHEDULERS = Registry(
    'parameter scheduler',
    parent=root.PARAM_SCHEDULERS,
    scope=_SCOPE,
    locations=['opencd_gold.engine'])
METRICS = Registry(
    'metric',
    parent=root.METRICS,
    scope=_SCOPE,
    locations=['opencd_gold.evaluation'])
VISUALIZERS = Registry(
    'visualizer',
    parent=root.VISUALIZERS,
    scope=_SCOPE,
    locations=['opencd_gold.visualization'])
TASK_UTILS = Registry(
    'task util',
    parent=root.TASK_UTILS,
    scope=_SCOPE,
    locations=['opencd_gold.models'])
WEIGHT_INITIALIZERS = Registry(
    'weight initializer',
    parent=root.WEIGHT_INITIALIZERS,
    scope=_SCOPE,
    locations=['opencd_gold.models'])
VISBACKENDS = Registry(
    'vis_backend',
    parent=root.VISBACKENDS,
    scope=_SCOPE,
    locations=['opencd_gold.visualization'])
EVALUATOR = Registry(
    'evaluator',
    parent=root.EVALUATOR,
    scope=_SCOPE,
    locations=['opencd_gold.evaluation'])
RUNNERS = Registry(
    'runner',
    parent=root.RUNNERS,
    scope=_SCOPE,
    locations=['opencd_gold.engine'])
LOG_PROCESSORS = Registry(
    'log_processor',
    parent=root.LOG_PROCESSORS,
    scope=_SCOPE,
    locations=['opencd_gold.engine'])
