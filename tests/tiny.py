"""A bitemporal detector so small that a scene takes a second."""
import torch
from torch import nn

CONFIG = """
default_scope = 'opencd_gold'
norm_cfg = dict(type='BN')
encoder = dict(
    type='mmseg.ResNetV1c', depth=18, stem_channels=8, base_channels=4,
    num_stages=4, strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1),
    out_indices=(0, 1, 2, 3), norm_cfg=norm_cfg)
neck = dict(
    type='MultiScaleFusion', in_channels=[4, 8, 16, 32], channels=8,
    norm_cfg=norm_cfg)
model = dict(
    type='BitemporalDetector',
    data_preprocessor=dict(
        type='ChangeDataPreProcessor', channels=(3, 1, 3),
        mean=[[123., 116., 103.], 111., [123., 116., 103.]],
        std=[[58., 57., 57.], 50., [58., 57., 57.]]),
    backbone=dict(in_channels=3, **encoder),
    backbone_to=dict(in_channels=1, **encoder),
    neck=neck, neck_to=neck,
    decode_head=dict(
        type='AttentionTransferHead', in_channels=8, num_classes=2,
        norm_cfg=norm_cfg),
    test_cfg=dict(mode='whole'))
"""


def write_config(folder, extra='', name='tiny.py'):
    """Write the config, with lines of its own."""
    path = folder / name
    path.write_text(CONFIG + extra)
    return path


def write_checkpoint(folder, seed=0, config=None, name='tiny.pth'):
    """Write weights that answer to their input."""
    from opencd_gold.apis import init_model
    torch.manual_seed(seed)
    if config is None:
        config = write_config(folder)
    model = init_model(config)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    with torch.no_grad():
        model.decode_head.conv_seg.weight.mul_(20)
    path = folder / name
    torch.save(
        dict(state_dict=model.state_dict(),
             meta=dict(cfg=config.read_text(),
                       dataset_meta=dict(
                           classes=('land', 'water'),
                           palette=[[0, 0, 0], [0, 0, 255]]))), path)
    return path
