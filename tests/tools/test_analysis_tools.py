"""Benchmark and count on networks that a hand can count."""
import json
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.model import BaseModel
from running import run_tool
from torch import nn

from opencd_gold.apis import benchmark
from opencd_gold.apis.complexity import count_multiply_adds, count_parameters
from opencd_gold.engine import training_progress

BENCHMARK = 'tools/analysis_tools/benchmark.py'
FLOPS = 'tools/analysis_tools/get_flops.py'
CONFIG = """
default_scope = 'opencd_gold'
encoder = dict(
    type='mmseg.ResNetV1c', depth=18, in_channels=3, stem_channels=8,
    base_channels=4)
model = dict(
    type='BitemporalDetector',
    data_preprocessor=dict(type='ChangeDataPreProcessor', channels=(3, 3)),
    backbone=encoder,
    neck=dict(
        type='MultiScaleFusion', in_channels=[4, 8, 16, 32], channels=4),
    decode_head=dict(type='AttentionTransferHead', in_channels=4),
    channels_last=True)
optim_wrapper = dict(
    type='AmpOptimWrapper', loss_scale='dynamic',
    optimizer=dict(type='AdamW', lr=1e-3))
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'tiny.py'
    path.write_text(CONFIG)
    return path


class OneConv(nn.Module):
    """A convolution of both dates, and a part of a kernel of one."""

    training_only = ('teacher', )

    def __init__(self):
        super().__init__()
        self.data_preprocessor = SimpleNamespace(channels=(3, 2, 3))
        self.conv = nn.Conv2d(5, 8, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(10, 4, 1, bias=False)
        self.teacher = nn.Linear(6, 7)

    def forward(self, inputs, mode):
        assert not self.training and mode == 'tensor'
        return F.conv2d(self.conv(inputs), self.wide.weight[:, :8])


def test_multiply_adds_of_known_convolutions():
    model = OneConv().train()
    # 16 x 20 pixels become 8 x 10.
    dense = 8 * 10 * 8 * (5 * 9)
    part = 8 * 10 * 4 * 8
    found = count_multiply_adds(model, (16, 20))
    assert found == dict(conv=dense, prediction=dense + part)
    assert model.training


def test_parameters_with_and_without_the_teacher():
    assert count_parameters(OneConv()) == dict(
        conv=5 * 8 * 9 + 8,
        wide=40,
        teacher=49,
        training=368 + 40 + 49,
        prediction=368 + 40)


def test_get_flops(config, monkeypatch, capsys):
    assert run_tool(monkeypatch, FLOPS, config, '--size', 32, 64) is None
    shown = capsys.readouterr().out
    assert 'BitemporalDetector, 32x64' in shown
    rows = {row.split('|')[1].strip(): row for row in shown.splitlines()
            if row.count('|') > 3}
    # Lateral convolutions of 60 channels to 4, and 16 to 4, with bias and
    # norm: 4 * 60 + 4 * (4 + 8) + 16 * 4 + 4 + 8.
    assert ' 364 ' in rows['neck']
    assert {'backbone', 'decode_head', 'training', 'prediction'} <= set(rows)


def test_benchmark_of_two(config, monkeypatch, capsys, tmp_path):
    out = tmp_path / 'figures/out.json'
    assert run_tool(
        monkeypatch, BENCHMARK, config, '--vs', config, '--batch', 2,
        '--size', 32, 32, '--repeats', 3, '--warmup', 1, '--threads', 1,
        '--device', 'cpu', '--precision', 'bfloat16', '--vs-precision',
        'float32', '--fuse', '--no-memory', '--vs-options',
        'model.channels_last=False', '--out', out) is None
    shown = capsys.readouterr()
    assert 'speed' in shown.out and '1.00x' in shown.out
    assert 'tiny float32 model.channels_last=False' in shown.out
    assert '8/8' in shown.err
    report = json.loads(out.read_text())
    assert set(report['results']) == {'train', 'infer'}
    for mode, result in report['results'].items():
        assert result['workload']['mode'] == mode
        ours, theirs = result['candidates']
        assert len(ours['seconds']) == len(theirs['seconds']) == 3
        assert ours['median_s'] == sorted(ours['seconds'])[1]
        assert ours['samples_per_s'] == pytest.approx(2 / ours['median_s'])
        ratio = theirs['median_s'] / ours['median_s']
        assert result['ratios'] == dict(speed=pytest.approx(ratio))
        assert f'{ratio:.2f}x' in shown.out


def test_peak_memory_grows_with_the_batch(config):
    cfg = Config.fromfile(config)
    candidate = benchmark.Candidate('tiny', cfg, 'float32')
    small, large = (
        benchmark.peak_memory(
            candidate,
            benchmark.Workload('train', batch, (128, 128), threads=1), 1)
        for batch in (1, 16))
    # The stem alone keeps three maps of 8 x 64 x 64 float32 of both dates.
    assert large - small > 15 * 3 * 2 * 8 * 64 * 64 * 4


@pytest.mark.parametrize('mode', benchmark.MODES)
@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
def test_a_part_alone(config, monkeypatch, mode, precision):
    """Only the neck runs, on the maps of its first call: one date."""
    candidate = benchmark.Candidate(
        'tiny', Config.fromfile(config), precision, part='neck')
    step = benchmark.make_step(
        candidate, benchmark.Workload(mode, 2, (64, 32)))
    seen = []

    def watch(module, args, output):
        seen.append((type(module).__name__, [x.shape for x in args[0]],
                     output.dtype, output.requires_grad))

    with nn.modules.module.register_module_forward_hook(watch):
        step()
    name, shapes, dtype, differentiable = seen[-1]
    assert name == 'MultiScaleFusion'
    assert [tuple(shape) for shape in shapes] == [
        (2, 4 * 2**i, 16 // 2**i, 8 // 2**i) for i in range(4)]
    assert dtype is getattr(torch, precision)
    assert differentiable == (mode == 'train')
    assert not any('ResNet' in each[0] or 'Head' in each[0] for each in seen)


def test_memory_of_a_part(config):
    """Neither the model nor its first pass counts."""
    cfg = Config.fromfile(config)
    whole, part = (
        benchmark.peak_memory(
            benchmark.Candidate('tiny', cfg, 'float32', part=name),
            benchmark.Workload('train', 16, (128, 128), threads=1), 1)
        for name in (None, 'decode_head.conv_seg'))
    assert 0 <= part < whole / 2


@pytest.mark.parametrize('part, text', [
    ('nekc', "BitemporalDetector has no part 'nekc'"),
    ('decode_head.loss_decode.0', "does not call 'decode_head.loss_decode.0'"),
])
def test_a_part_that_is_not_there(config, monkeypatch, part, text):
    message = run_tool(monkeypatch, BENCHMARK, config, '--device', 'cpu',
                       '--no-memory', '--size', 32, 32, '--part', part)
    assert text in message


def test_a_part_is_not_fused(config):
    cfg = Config.fromfile(config)
    with pytest.raises(ValueError, match='a part alone is not fused'):
        benchmark.Candidate('tiny', cfg, fuse=True, part='neck')


def test_candidates_take_turns(config, monkeypatch):
    calls = []
    monkeypatch.setattr(
        benchmark, 'make_step',
        lambda candidate, work: lambda: calls.append(candidate))
    ticks = []
    work = benchmark.Workload('infer', 1, (8, 8))
    results = benchmark.measure('ab', work, 2, 1, lambda: ticks.append(1))
    assert ''.join(calls) == 'baabba'
    assert len(ticks) == 6
    assert [len(result.seconds) for result in results] == [2, 2]


def test_schedules_see_a_run_half_done(config, monkeypatch):
    seen = []
    work = benchmark.Workload('train', 1, (32, 32))
    monkeypatch.setattr(
        BaseModel, 'train_step',
        lambda *args: seen.append(training_progress().fraction))
    cfg = Config.fromfile(config)
    benchmark.make_step(benchmark.Candidate('tiny', cfg, 'float32'), work)()
    assert seen == [0.5]
    assert training_progress().fraction == 0


def test_precision_reaches_training_and_prediction(config):
    cfg = Config.fromfile(config)
    candidate = benchmark.Candidate('tiny', cfg, 'bfloat16')
    assert candidate.cfg.optim_wrapper.type == 'Bf16OptimWrapper'
    assert 'loss_scale' not in candidate.cfg.optim_wrapper
    assert candidate.cfg.model.test_cfg.precision == 'bfloat16'
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    with pytest.raises(ValueError, match="got 'int8'"):
        benchmark.Candidate('tiny', cfg, 'int8')


def test_random_batch():
    work = benchmark.Workload('train', 2, (8, 16))
    data = benchmark.random_batch((3, 1, 3), work)
    assert [tuple(x.shape) for x in data['inputs']] == [(7, 8, 16)] * 2
    assert data['inputs'][0].dtype is torch.uint8
    label = data['data_samples'][0].gt_sem_seg.data
    assert label.shape == (1, 8, 16) and set(label.unique().tolist()) == {0, 1}
    work = benchmark.Workload('infer', 1, (8, 16))
    assert benchmark.random_batch((3, 1, 3), work)['inputs'][0].shape[0] == 4


@pytest.mark.parametrize('arguments, text', [
    (('--batch', '-1'), 'must be positive'),
    (('--cfg-options', 'modell.x=1'), "no 'modell'"),
])
def test_benchmark_of_bad_input(config, monkeypatch, arguments, text):
    message = run_tool(monkeypatch, BENCHMARK, config, '--device', 'cpu',
                       '--no-memory', *arguments)
    assert text in message


def test_benchmark_without_an_optimizer(config, monkeypatch):
    config.write_text(CONFIG.split('optim_wrapper')[0])
    message = run_tool(monkeypatch, BENCHMARK, config, '--device', 'cpu',
                       '--no-memory', '--mode', 'train')
    assert 'no optim_wrapper' in message
