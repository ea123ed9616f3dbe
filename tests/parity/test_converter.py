"""The converter writes whole checkpoints alone, and says what it compared."""
import re

import pytest
import torch
from running import ROOT, run_tool

from opencd_gold.apis.convert import RULES, check_complete
from opencd_gold.compat import load_checkpoint_file

from . import rule

TOOL = 'tools/model_converters/convert.py'
CASES = dict(
    gold=('gold', 'gold', 'state'),
    two_branch=('gold-two-branch', 'gold', 'state_dual'),
    hetecd=('hetecd', 'hetecd', 'state'),
    changer=('changer', 'changer', 'state'),
    changer_r18=('changer', 'changer_r18', 'state'),
    mtkd=('mtkd', 'mtkd', 'state'),
    sgsln=('sgsln', 'sgsln', 'state'),
    hrmnet=('hrmnet', 'hrmnet', 'state'))


@pytest.fixture
def log(monkeypatch):
    """What is logged: level and text."""
    lines = []
    monkeypatch.setattr(
        'opencd_gold.apis.convert.print_log',
        lambda text, logger, level=20: lines.append((level, text)))
    return lines


def authors(figures, key='state'):
    """A checkpoint of the authors, of tensors without content."""
    shapes = rule.Figures(figures).info[key]
    return {name: torch.empty(shape) for name, shape in shapes.items()}


def converted(system, state):
    return RULES[system].convert(state)[0]


@pytest.mark.parametrize('name', CASES)
def test_whole_and_incomplete(name, log):
    system, *figures = CASES[name]
    state = converted(system, authors(*figures))
    check_complete(system, state)
    (level, text), = log
    assert level == 20
    assert text.startswith(f'complete: {len(state)} tensors, ')
    assert 'shape' not in text
    config = re.search(r' (\S+) has', text)[1]
    assert config in [path.rsplit('/', 1)[-1]
                      for path in RULES[system].references]

    weights = [key for key in state if key.startswith('decode_head.')
               and key.endswith('.weight')]
    for key in weights[:3]:
        del state[key]
    with pytest.raises(ValueError) as error:
        check_complete(system, state)
    for words in ('an incomplete checkpoint', f'{len(state)} tensors, ',
                  config, '3 missing, first [', weights[0], '--config'):
        assert words in str(error.value)


def test_counters_of_batches_may_be_absent(log):
    """As in checkpoints of old versions of PyTorch."""
    state = converted('sgsln', authors('sgsln'))
    check_complete('sgsln', {
        key: value for key, value in state.items()
        if not key.endswith('num_batches_tracked')})
    assert log[0][1].startswith('complete: 191 tensors, ')


def test_teachers_come_whole_or_not_at_all(log):
    state = converted('mtkd', authors('mtkd'))
    student = {key: value for key, value in state.items()
               if not key.startswith('teachers.')}
    check_complete('mtkd', student)
    key = 'teachers.m.decode_head.conv_seg.weight'
    with pytest.raises(ValueError, match=r'missing, first \[.teachers\.m'):
        check_complete('mtkd', {**student, key: state[key]})


def test_another_width_is_told(log):
    state = converted('changer', authors('changer_r18'))
    key = 'neck.fusion_conv.conv.weight'
    state[key] = torch.empty(7, 7)
    check_complete('changer', state)
    assert log[0][1].endswith(f"1 of another shape, first ['{key}']")


def test_another_network_is_told_and_its_config_decides(log, tmp_path):
    """A deeper encoder than any published one."""
    state = converted('hrmnet', authors('hrmnet'))
    blocks = {
        key.replace('layer3.1.', 'layer3.2.'): value
        for key, value in state.items() if 'layer3.1.' in key}
    check_complete('hrmnet', {**state, **blocks})
    (level, text), = log
    assert level == 30
    assert text.startswith('of another network: ')
    assert f'{len(blocks)} unknown' in text

    config = tmp_path / 'mine.py'
    config.write_text(
        f"_base_ = '{ROOT}/configs/hrmnet/hrmnet_reference.py'\n"
        "model = dict(decode_head=dict(out_channels=2, threshold=None))\n")
    with pytest.raises(ValueError) as error:
        check_complete('hrmnet', state, config)
    for words in ('does not load strictly', 'mine.py has 502',
                  '10 of another shape', 'side_heads.0.cls.weight'):
        assert words in str(error.value)
    with pytest.raises(ValueError, match=f'; {len(blocks)} unknown'):
        check_complete('hrmnet', {**state, **blocks}, config)
    for key, value in state.items():
        if re.search(r'decode_head\.(conv_seg|side_heads\.\d\.cls)', key):
            state[key] = torch.cat([value, value])
    check_complete('hrmnet', state, config)
    assert log[-1] == (20, 'complete: 502 tensors, mine.py has 502')


def test_encoder_of_timm():
    state = converted('hrmnet', authors('hrmnet'))
    encoder = {key[len('backbone.'):]: value for key, value in state.items()
               if key.startswith('backbone.')}
    check_complete('timm-resnet-d', encoder)
    del encoder['stem.0.weight']
    with pytest.raises(ValueError, match=r"1 missing, first \['stem.0"):
        check_complete('timm-resnet-d', encoder)


@pytest.mark.parametrize('count', [1, 180])
def test_nothing_is_written_of_an_incomplete_one(
        count, tmp_path, monkeypatch, capsys):
    source, target = tmp_path / 'net.pth', tmp_path / 'new' / 'sgsln.pth'
    state = authors('sgsln')
    torch.save(dict(list(state.items())[:count]), source)
    assert run_tool(monkeypatch, TOOL, 'sgsln', source, target) == 2
    assert (f'an incomplete checkpoint: {count} tensors, sgsln_reference.py '
            'has 218') in capsys.readouterr().err
    assert not target.parent.exists()
    torch.save(state, source)
    assert run_tool(
        monkeypatch, TOOL, 'sgsln', source, target, '--config',
        ROOT / 'configs/sgsln/sgsln_1xb16-500e_cdd-256x256.py') is None
    assert len(load_checkpoint_file(target)['state_dict']) == 218
