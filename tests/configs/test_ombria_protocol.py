"""What is compared on OMBRIA differs in nothing but the model."""
import pytest
from mmengine.config import Config
from running import ROOT

GOLD = 'gold/gold-student_efflite0_1xb8-1500_ombria-256x256.py'
CHANGER = 'changer/changer-efflite0_1xb8-1500_ombria-ac-256x256.py'
MODELS = ('sgsln/sgsln', 'hrmnet/hrmnet_efflite0', 'hrmnet/hrmnet_r18d')


def protocol(path):
    """All that a run of a config is, apart from the network."""
    cfg = Config.fromfile(ROOT / 'configs' / path)
    same = {
        key: cfg[key]
        for key in ('train_dataloader', 'val_dataloader', 'test_dataloader',
                    'val_evaluator', 'test_evaluator', 'optim_wrapper',
                    'param_scheduler', 'train_cfg', 'custom_hooks',
                    'default_hooks', 'randomness')
    }
    return same, cfg.model


@pytest.mark.parametrize('model', MODELS)
@pytest.mark.parametrize('suffix, other', [('ombria', GOLD),
                                           ('ombria-ac', CHANGER)])
def test_protocol(model, suffix, other):
    ours, network = protocol(f'{model}_1xb8-1500_{suffix}-256x256.py')
    theirs, reference = protocol(other)
    for key, value in theirs.items():
        assert ours[key] == value, key
    assert network.test_cfg.precision == reference.test_cfg.precision
    assert network.channels_last and reference.channels_last
    for key in ('channels', 'mean', 'std'):
        assert list(network.data_preprocessor[key]) == list(
            reference.data_preprocessor[key]), key
    losses = [loss['type'] for loss in network.decode_head.loss_decode]
    assert losses == ['ChangeCrossEntropyLoss', 'ChangeDiceLoss']
