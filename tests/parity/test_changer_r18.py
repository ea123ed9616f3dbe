"""Changer with ResNet-18 against figures of Open-CD, every array."""
import pytest

from . import rule
from .test_changer import check_forward, check_training
from .test_changer import load as load_changer

FIG = rule.Figures('changer_r18')
REFERENCE = 'changer-r18_reference.py'
CASES = {
    'forward': lambda model: check_forward(FIG, model),
    'train_forward': lambda model: train_forward(model)
}


def load(config, system, shapes):
    return load_changer(config, 'changer', shapes)


@pytest.fixture(scope='module')
def reference():
    return load(REFERENCE, 'changer', FIG.info['state'])


def train_forward(model):
    model.decode_head.dropout.p = 0.
    names = {
        f'{module}.running_{statistic}': f'{module}.running_{statistic}'
        for module in ('backbone.stem.1', 'backbone.layer4.1.bn2')
        for statistic in ('mean', 'var')
    }
    names['decode_head.convs.0.bn.running_mean'] = (
        'neck.lateral_convs.0.bn.running_mean')
    check_training(FIG, model, names)


@pytest.mark.parametrize('name', sorted(FIG.cases))
def test_case(name, reference):
    FIG.seen.clear()
    CASES[name](reference)
    assert set(FIG.seen) == set(FIG.cases[name]['arrays'])


def test_every_array_belongs_to_a_case():
    named = {name for info in FIG.cases.values() for name in info['arrays']}
    assert named == set(FIG.arrays)


def test_parameter_count(reference):
    count = sum(p.numel() for p in reference.parameters())
    assert count == FIG.info['parameters'] == 11_390_946
