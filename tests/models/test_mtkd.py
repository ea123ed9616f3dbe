"""MTKD: routing, teachers aside, one step in two forms, O-P; the contract."""
import copy
import json
import re

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from models.contract import CONFIGS, DetectorContract, make_batch, tensors
from running import run_processes, run_tool
from torch import nn

from opencd_gold.apis import publish
from opencd_gold.building import load_weights
from opencd_gold.change_area import change_area_ratios, partition_indices
from opencd_gold.compat import load_checkpoint_file
from opencd_gold.datasets.synthetic import write_triplets
from opencd_gold.models import ChangeTTAModel
from opencd_gold.models.detectors import ChangeAreaRouter
from opencd_gold.models.losses import (
    TeacherDivergenceLoss,
    TeacherSquareLoss,
)
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

OMBRIA = 'mtkd/step3/mtkd-changer-efflite0_1xb8-1500_ombria-ac-256x256.py'
# Of the pixels; small, medium, large and small again.
SHARES = (0.02, 0.1, 0.5, 0.)


def student(widths=(8, 8, 8, 8), channels=(3, 3), **options):
    """A light detector without anything random in training."""
    model = dict(
        type='BitemporalDetector',
        data_preprocessor=dict(
            type='ChangeDataPreProcessor', channels=channels),
        backbone=dict(
            type='mmseg.ResNetV1c',
            depth=18,
            base_channels=widths[0],
            stem_channels=8),
        neck=dict(
            type='MultiScaleFusion',
            in_channels=[widths[0] * k for k in (1, 2, 4, 8)],
            channels=8),
        decode_head=dict(type='MixFFNHead', in_channels=8, dropout_ratio=0.))
    return {**model, **options}


def mtkd(**options):
    init_default_scope('opencd_gold')
    torch.manual_seed(0)
    model = dict(
        type='MultiTeacherDetector',
        student=student(),
        teachers=dict(s={}, m={}, l={}),
        distill_losses=[dict(type='TeacherSquareLoss', loss_weight=1.)])
    return MODELS.build({**model, **options})


def batch(shares=SHARES, channels=(3, 3)):
    """Inputs and samples whose labels change in the given shares."""
    data = make_batch(channels, size=(32, 32), count=len(shares), ignored=0)
    for sample, share in zip(data['data_samples'], shares):
        label = torch.zeros(32 * 32, dtype=torch.long)
        label[:round(share * len(label))] = 1
        sample.gt_sem_seg.data = label.view(1, 32, 32)
    inputs = torch.stack(data['inputs']).float() / 64 - 2
    return inputs, data['data_samples']


class TestContract(DetectorContract):
    """With an encoder that can be frozen, and a student of its own heads."""

    config = OMBRIA
    network = 'model.student'
    overrides = {'model.student.backbone.pretrained': False}
    freeze = {'model.student.backbone.frozen_stages': 1}


# routing ---------------------------------------------------------------------


def test_ratio_by_hand():
    """Three of eight pixels changed, two ignored."""
    label = torch.tensor([[[1, 1, 0, 0], [1, 255, 255, 0]]])
    assert change_area_ratios(label) == 3 / 6
    assert change_area_ratios(label, count_ignored=True) == 5 / 8
    nothing = torch.full((1, 2, 2), 255)
    assert change_area_ratios(nothing) == 0
    assert change_area_ratios(nothing, count_ignored=True) == 1


def test_bounds_belong_to_one_side():
    ratios = [0., 0.05, 0.0501, 0.2, 0.21, 1.]
    below = partition_indices(ratios, (0.05, 0.2), inclusive=True)
    above = partition_indices(ratios, (0.05, 0.2), inclusive=False)
    assert below.tolist() == [0, 0, 1, 1, 2, 2]
    assert above.tolist() == [0, 1, 1, 2, 2, 2]


@pytest.mark.parametrize('thresholds', [(), (0.2, 0.05), (0., 0.5), (1., )])
def test_thresholds_must_rise(thresholds):
    with pytest.raises(ValueError, match='must rise, above 0 and below 1'):
        ChangeAreaRouter(thresholds)


# losses ----------------------------------------------------------------------


def logits(values):
    return BranchOutputs(None, None, None, torch.tensor(values))


def test_losses_by_hand():
    """Two classes, one row of two pixels; the second is ignored."""
    s = logits([[[[0., 1.]], [[0., 3.]]]])
    t = logits([[[[1., 0.]], [[0., 1.]]]])
    target = torch.tensor([[[1, 255]]])
    square = TeacherSquareLoss(2.)(s, t, target)['square']
    assert square == pytest.approx(2 * (1 + 1 + 0 + 4) / 4)
    masked = TeacherSquareLoss(2., mask_ignored=True)(s, t, target)
    assert masked['square'] == pytest.approx(2 * (1 + 0) / 2)

    p_t = np.array([np.exp(0.5), 1.]) / (np.exp(0.5) + 1)
    one = (p_t * np.log(p_t / 0.5)).sum()
    loss = TeacherDivergenceLoss(2., 3., mask_ignored=True)
    assert loss(s, t, target)['divergence'] == pytest.approx(
        3 * 4 * one, rel=1e-5)


@pytest.mark.parametrize('loss', [TeacherSquareLoss, TeacherDivergenceLoss])
def test_losses_refuse_other_channels(loss):
    """Else one channel would be compared with each of two."""
    pair = (logits([[[[1.]]]]), logits([[[[1.]], [[0.]]]]))
    with pytest.raises(ValueError, match='got 1 and 2; LogitDistillLoss'):
        loss()(*pair, None)


def test_teacher_gets_no_gradient():
    for loss in (TeacherSquareLoss(), TeacherDivergenceLoss()):
        s, t = torch.randn(2, 2, 2, 4, 4).requires_grad_().unbind()
        s.retain_grad()
        t.retain_grad()
        value, = loss(
            BranchOutputs(None, None, None, s),
            BranchOutputs(None, None, None, t), None).values()
        value.backward()
        assert s.grad.abs().max() > 0
        assert t.grad is None


# teachers --------------------------------------------------------------------


def test_teachers_are_aside():
    model = mtkd()
    alone = MODELS.build(student())
    assert set(model.state_dict()) == set(alone.state_dict())
    count = sum(p.numel() for p in alone.parameters())
    assert sum(p.numel() for p in model.parameters()) == count
    wrapper = build_optim_wrapper(
        model, dict(optimizer=dict(type='SGD', lr=0.1)))
    held = {id(p) for g in wrapper.param_groups for p in g['params']}
    for teacher in model.train().teachers.values():
        assert not any(module.training for module in teacher.modules())
        assert not any(p.requires_grad for p in teacher.parameters())
        assert held.isdisjoint(map(id, teacher.parameters()))


def test_teachers_stay_as_they_are():
    model = mtkd().train()
    before = [copy.deepcopy(t.state_dict()) for t in model.teachers.values()]
    inputs, samples = batch()
    wrapper = build_optim_wrapper(
        model, dict(optimizer=dict(type='SGD', lr=0.1)))
    start = copy.deepcopy(model.state_dict())
    losses = model(inputs, samples, mode='loss')
    wrapper.update_params(model.parse_losses(losses)[0])
    for teacher, state in zip(model.teachers.values(), before):
        for name, value in teacher.state_dict().items():
            assert torch.equal(value, state[name]), name
    moved = model.state_dict()
    assert not torch.equal(moved['decode_head.conv_seg.weight'],
                           start['decode_head.conv_seg.weight'])


def test_each_sample_gets_its_teacher():
    model = mtkd().eval()
    inputs, samples = batch()
    target = torch.cat([s.gt_sem_seg.data for s in samples])
    found = model.ask_teachers(inputs, target, (8, 8))
    for index, name in enumerate('smls'):
        expected = model.teachers[name](
            inputs[index:index + 1], mode='tensor')
        torch.testing.assert_close(found[index:index + 1], expected,
                                   rtol=1e-4, atol=1e-5)


def test_a_teacher_runs_once_a_step_and_only_if_it_is_needed():
    model = mtkd().eval()
    seen = {name: [] for name in model.teachers}
    for name, teacher in model.teachers.items():
        teacher.decode_head.register_forward_pre_hook(
            lambda _, args, name=name: seen[name].append(len(args[0])))
    inputs, samples = batch((0.5, 0.02, 0.6, 0.7))
    model(inputs, samples, mode='loss')
    assert seen == dict(s=[1], m=[], l=[3])


def test_both_forms_give_the_same_numbers():
    """One pass and groups, or the head twice and samples one by one."""
    inputs, samples = batch()
    found = []
    for plain in (False, True):
        model = mtkd(plain=plain).eval()
        losses = model(inputs, samples, mode='loss')
        total, _ = model.parse_losses(losses)
        total.backward()
        found.append((losses, {
            name: p.grad for name, p in model.named_parameters()}))
    (fast, fast_grads), (plain, plain_grads) = found
    assert set(fast) == set(plain) == {'loss_ce', 'loss_distill_square'}
    for name in fast:
        torch.testing.assert_close(fast[name], plain[name])
    for name, gradient in fast_grads.items():
        torch.testing.assert_close(
            gradient, plain_grads[name], rtol=1e-4, atol=1e-5)


def test_plain_form_runs_the_head_twice():
    inputs, samples = batch()
    counts = []
    for plain in (False, True):
        model = mtkd(plain=plain).train()
        model(inputs, samples, mode='loss')
        counts.append(int(model.neck.fusion_conv.bn.num_batches_tracked))
    assert counts == [2, 4]


def test_distillation_counts_unless_asked_not_to():
    inputs, samples = batch()
    for count, key in ((True, 'loss_distill_square'),
                       (False, 'distill_square')):
        model = mtkd(count_distill=count).eval()
        losses = model(inputs, samples, mode='loss')
        total, _ = model.parse_losses(losses)
        expected = losses['loss_ce'] + (losses[key] if count else 0)
        torch.testing.assert_close(total, expected)
        assert losses[key] > 0


def test_no_weight_no_teacher():
    model = mtkd(distill_losses=[
        dict(type='TeacherSquareLoss', loss_weight=0.)])
    for teacher in model.teachers.values():
        teacher.decode_head.forward = None  # calling it would raise
    inputs, samples = batch()
    assert set(model(inputs, samples, mode='loss')) == {'loss_ce'}
    model.init_weights()


def test_teachers_in_training_mode_for_comparison():
    model = mtkd(teachers_in_training_mode=True).train()
    assert all(t.training for t in model.teachers.values())
    model.eval()
    assert not any(t.training for t in model.teachers.values())


def test_prediction_asks_no_teacher():
    model = mtkd().eval()
    inputs, _ = batch()
    alone = MODELS.build(student()).eval()
    alone.load_state_dict(model.state_dict(), strict=True)
    for teacher in model.teachers.values():
        for value in tensors(teacher).values():
            if value.is_floating_point():
                value.data.fill_(float('nan'))
    with torch.no_grad():
        assert torch.equal(model(inputs, mode='tensor'),
                           alone(inputs, mode='tensor'))
        one, other = (m(inputs, mode='predict') for m in (model, alone))
    for a, b in zip(one, other):
        assert torch.equal(a.seg_logits.data, b.seg_logits.data)


def test_teachers_of_another_architecture():
    """Wider, deeper, and with logits at another resolution."""
    other = student(
        widths=(16, ),
        neck=dict(
            type='MultiScaleFusion', in_channels=[32, 64, 128], channels=8))
    other['backbone']['out_indices'] = (1, 2, 3)
    model = mtkd(teachers=dict(s={}, m={}, l=dict(model=other))).eval()
    inputs, samples = batch()
    losses = model(inputs, samples, mode='loss')
    theirs = model.teachers['l'](inputs[2:3], mode='tensor')
    assert theirs.shape[-2:] == (4, 4)
    up = nn.functional.interpolate(theirs, size=(8, 8), mode='bilinear')
    ours = model(inputs, mode='tensor')
    parts = [(ours[i] - model.teachers[name](
        inputs[i:i + 1], mode='tensor')[0]).pow(2) for i, name in (
            (0, 's'), (1, 'm'), (3, 's'))]
    expected = torch.stack([*parts, (ours[2] - up[0]).pow(2)]).mean()
    torch.testing.assert_close(
        losses['loss_distill_square'], expected, rtol=1e-4, atol=1e-5)


def test_a_segmentor_of_mmsegmentation_teaches_and_learns():
    """Its head is called by forward(), and reads both dates as six bands."""
    plain = dict(
        type='mmseg.EncoderDecoder',
        _scope_='mmseg',
        data_preprocessor=dict(
            type='opencd_gold.ChangeDataPreProcessor', channels=(3, 3)),
        backbone=dict(
            type='mmseg.ResNetV1c', depth=18, in_channels=6,
            base_channels=8, stem_channels=8),
        decode_head=dict(
            type='mmseg.FCNHead', in_channels=64, in_index=3, channels=8,
            num_convs=1, num_classes=2, dropout_ratio=0.),
        test_cfg=dict(mode='whole'))
    model = mtkd(student=plain, teachers=dict(
        s={}, m={}, l=dict(model=student()))).eval()
    inputs, samples = batch()
    losses = model(inputs, samples, mode='loss')
    assert {'decode.loss_ce', 'loss_distill_square'} <= set(losses)
    losses['loss_distill_square'].backward()
    assert model.backbone.stem[0].weight.grad.abs().max() > 0
    twice = mtkd(student=plain, teachers=dict(
        s={}, m={}, l=dict(model=student())), plain=True).eval()
    again = twice(inputs, samples, mode='loss')['loss_distill_square']
    torch.testing.assert_close(again, losses['loss_distill_square'])


def test_a_student_whose_head_sees_the_images():
    """Its plain form runs the head again, images included."""
    narrow = Config.fromfile(CONFIGS / '_base_/models/hrmnet_r18d.py').model
    narrow.backbone.update(stem_channels=8, base_channels=8)
    narrow.neck.in_channels = [8, 16, 32, 64]
    narrow.decode_head.out_channels = 2
    narrow.decode_head.threshold = None
    inputs, samples = batch()
    values = []
    for plain in (False, True):
        model = mtkd(student=narrow, plain=plain).eval()
        losses = model(inputs, samples, mode='loss')
        values.append(losses['loss_distill_square'])
    assert values[0] > 0
    torch.testing.assert_close(*values)


def test_gold_as_the_student_by_config_alone():
    cfg = Config.fromfile(
        CONFIGS /
        'mtkd/step3/mtkd-gold-efflite0_1xb8-1500_ombria-256x256.py')
    cfg.model.student.backbone.pretrained = False
    cfg.model.student.backbone_to.pretrained = False
    init_default_scope('opencd_gold')
    model = MODELS.build(cfg.model).train()
    inputs, samples = batch(SHARES[:3], channels=(3, 1, 3))
    losses = model(inputs, samples, mode='loss')
    assert {'loss_cd', 'loss_distill', 'loss_distill_output'} <= set(losses)
    model.parse_losses(losses)[0].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name


def test_moving_average_shares_the_teachers():
    model = mtkd()
    average = ExponentialMovingAverage(model, update_buffers=True)
    for ours, theirs in zip(model.teachers.values(),
                            average.module.teachers.values()):
        assert ours is theirs
    model.decode_head.conv_seg.weight.data.add_(1.)
    average.update_parameters(model)
    state = average.state_dict()
    assert 'module.decode_head.conv_seg.weight' in state
    other = ExponentialMovingAverage(mtkd(), update_buffers=True)
    other.load_state_dict(state, strict=True)
    assert torch.equal(
        other.module.decode_head.conv_seg.weight,
        average.module.decode_head.conv_seg.weight)


def test_teachers_follow_to_another_type():
    model = mtkd().double()
    inputs, samples = batch()
    losses = model.eval()(inputs.double(), samples, mode='loss')
    assert torch.isfinite(losses['loss_distill_square'])


def test_distributed_buckets_hold_the_student_alone(tmp_path):
    """Two processes whose samples go to different teachers stay in step."""
    script = __file__.replace('test_mtkd', 'distributed_teachers')
    done = run_processes(2, script, tmp_path)
    assert done.returncode == 0, done.stderr
    one, other = (
        load_checkpoint_file(tmp_path / f'{rank}.pth') for rank in (0, 1))
    count = sum(p.numel() for p in MODELS.build(student()).parameters())
    assert one['bytes'] == other['bytes'] == 4 * count
    for name, value in one['state'].items():
        if 'running' not in name:
            assert torch.equal(value, other['state'][name]), name


# what is wrong is said -------------------------------------------------------


@pytest.mark.parametrize('options, message', [
    (dict(teachers=dict(s={}, l={})), r"are \['s', 'l'\], but the router "
     'knows 3 partitions'),
    (dict(teachers=dict(s={}, m={}, l=dict(checkpont='x'))),
     r"model.teachers.l has the keys \['checkpont'\]"),
    (dict(teachers=dict(s={}, m={}, l=dict(model=student(), config='x.py'))),
     'has model and config, expected one'),
    (dict(teachers=dict(s={}, m={}, l=dict(model=student(
        decode_head=dict(type='MixFFNHead', in_channels=8,
                         out_channels=1))))),
     'gives 1 channels, the student 2'),
    (dict(teachers=dict(s={}, m={}, l=dict(model=student(
        data_preprocessor=dict(
            type='ChangeDataPreProcessor', channels=(3, 3),
            mean=[1, 1], std=[2, 2]))))),
     'has data_preprocessor.mean'),
])
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        mtkd(**options)


def save(model, path):
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path)


def test_training_needs_the_checkpoints(tmp_path):
    init_default_scope('opencd_gold')
    alone = [MODELS.build(student()) for _ in range(4)]
    paths = [save(m, tmp_path / f'{i}.pth') for i, m in enumerate(alone)]
    with pytest.raises(ValueError, match='model.teachers.m.checkpoint is '
                       'None, expected the path'):
        mtkd(teachers=dict(
            s=dict(checkpoint=paths[1]), m={}, l={})).init_weights()
    wide = save(MODELS.build(student(
        widths=(16, ), neck=dict(
            type='MultiScaleFusion', in_channels=[16, 32, 64, 128],
            channels=8))), tmp_path / 'wide.pth')
    teachers = dict(zip('sml', (dict(checkpoint=p) for p in paths[1:])))
    with pytest.raises(ValueError, match='teachers.l.checkpoint=.*wide.pth '
                       'is a checkpoint of another model'):
        mtkd(teachers={**teachers, 'l': dict(checkpoint=wide)}).init_weights()
    model = mtkd(teachers=teachers, student_checkpoint=paths[0])
    model.init_weights()
    for loaded, source in zip((model, *model.teachers.values()), alone):
        for name, value in source.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], value)


def test_published_student_is_a_plain_model():
    cfg = Config(dict(
        default_scope='opencd_gold',
        model=dict(type='MultiTeacherDetector', student=student(),
                   teachers=dict(s={}, m={}, l={}), distill_losses=[])))
    model = mtkd()
    published = publish(dict(state_dict=model.state_dict()), cfg)
    plain = Config.fromstring(published['meta']['cfg'], '.py').model
    assert plain.type == 'BitemporalDetector'
    alone = MODELS.build(plain).eval()
    alone.load_state_dict(published['state_dict'], strict=True)
    inputs, _ = batch()
    with torch.no_grad():
        assert torch.equal(alone(inputs, mode='tensor'),
                           model.eval()(inputs, mode='tensor'))


# origin and partitions -------------------------------------------------------


def varied():
    """Inputs of which a random network calls different shares changed."""
    inputs, samples = batch()
    return inputs * torch.tensor([0.1, 1., 2., 4.]).view(4, 1, 1, 1), samples


@pytest.fixture
def partitions(tmp_path):
    """An origin and three models, as files; each calls half changed."""
    init_default_scope('opencd_gold')
    torch.manual_seed(1)
    paths = []
    for name in ('origin', 's', 'm', 'l'):
        model = MODELS.build(student()).eval()
        with torch.no_grad():
            scores = model(varied()[0], mode='tensor')
            model.decode_head.conv_seg.bias[1] -= (
                scores[:, 1] - scores[:, 0]).median()
        paths.append(save(model, tmp_path / f'{name}.pth'))
    return paths


def op(paths, **options):
    origin, *others = paths
    names = 'sml' if len(others) == 3 else 'sl'
    return MODELS.build({
        **dict(
            type='OriginPartitionDetector',
            origin=dict(model=student(), checkpoint=origin),
            partitions={
                name: dict(checkpoint=path)
                for name, path in zip(names, others)
            }),
        **options
    }).eval()


def spread(model, inputs):
    """Thresholds that put the origin's predictions into three partitions."""
    with torch.no_grad():
        maps = model.origin(inputs, mode='predict')
    ratios = sorted(float(m.pred_sem_seg.data.float().mean()) for m in maps)
    return [(ratios[0] + ratios[1]) / 2, (ratios[-2] + ratios[-1]) / 2]


def test_origin_picks_the_partition(partitions):
    inputs, samples = varied()
    thresholds = spread(op(partitions), inputs)
    model = op(partitions, router=dict(
        type='ChangeAreaRouter', thresholds=thresholds, inclusive=True))
    with torch.no_grad():
        origin = model.origin(inputs, mode='predict')
        found = model(inputs, samples, mode='predict')
        full = model(inputs, mode='tensor')
        seen = set()
        for index, sample in enumerate(found):
            ratio = origin[index].pred_sem_seg.data.float().mean()
            name = 'sml'[sum(float(ratio) > t for t in thresholds)]
            seen.add(name)
            expected, = model.partitions[name](
                inputs[index:index + 1], mode='predict')
            assert sample.partition == name
            assert sample is samples[index]
            for value in (sample.seg_logits.data, full[index]):
                torch.testing.assert_close(
                    value, expected.seg_logits.data, rtol=1e-4, atol=1e-5)
    assert seen == {'s', 'm', 'l'}


def test_a_ratio_at_the_bound_is_below(partitions):
    inputs, _ = varied()
    maps = op(partitions).origin(inputs, mode='predict')
    ratios = [float(m.pred_sem_seg.data.double().mean()) for m in maps]
    _, place = min((abs(r - 0.5), i) for i, r in enumerate(ratios))
    inputs, ratio = inputs[place:place + 1], ratios[place]
    assert 0 < ratio < 1
    model = op(partitions[:3], router=dict(
        type='ChangeAreaRouter', thresholds=[ratio], inclusive=True))
    assert model(inputs, mode='predict')[0].partition == 's'
    above = op(partitions[:3], router=dict(
        type='ChangeAreaRouter', thresholds=[ratio]))
    assert above(inputs, mode='predict')[0].partition == 'l'


def test_nothing_here_trains(partitions):
    inputs, samples = batch()
    with pytest.raises(ValueError, match='has no mode=.loss.'):
        op(partitions)(inputs, samples, mode='loss')
    with pytest.raises(ValueError, match='knows 3 partitions'):
        op(partitions[:3])


@pytest.mark.parametrize('channels', [(1, 2), (2, 1)])
def test_partition_of_other_channels_is_refused(channels):
    origin, other = (
        dict(model=student(
            decode_head=dict(
                type='MixFFNHead', in_channels=8, out_channels=count)))
        for count in channels)
    with pytest.raises(
            ValueError,
            match='model.partitions.m gets the images of the origin, but '
            f'gives {channels[1]} channels, the origin {channels[0]}'):
        MODELS.build(
            dict(
                type='OriginPartitionDetector',
                origin=origin,
                partitions=dict(s=origin, m=other, l=origin)))


def test_flips_have_the_threshold_of_the_partition(partitions):
    model = op(partitions)
    for part, threshold in zip(model.partitions.values(), (0.3, 0.45, 0.6)):
        part.decode_head.threshold = threshold
    data = {key: [value] for key, value in make_batch((3, 3)).items()}
    with torch.no_grad():
        found = ChangeTTAModel(module=model).test_step(data)
    differs = 0
    for sample in found:
        threshold = model.partitions[sample.partition].decode_head.threshold
        change = sample.seg_logits.data.softmax(0)[1]
        assert torch.equal(sample.pred_sem_seg.data[0] == 1,
                           change > threshold)
        differs += ((change > threshold) != (change > 0.5)).sum()
    assert differs


def test_origin_and_partitions_by_the_tool(tmp_path, monkeypatch):
    """test.py with the checkpoints that the config names."""
    write_triplets(tmp_path / 'data', dict(test=3), size=64, seed=1)
    config = CONFIGS / 'mtkd/op/op-changer-efflite0_ombria-ac-256x256.py'
    cfg = Config.fromfile(config)
    origin = cfg.model.origin.model
    origin.backbone.pretrained = False
    init_default_scope('opencd_gold')
    paths = [
        save(MODELS.build(origin), tmp_path / f'{i}.pth') for i in range(4)
    ]
    names = ['model.origin'] + [f'model.partitions.{n}' for n in 'sml']
    options = [
        f'{name}.checkpoint={path}' for name, path in zip(names, paths)
    ] + ['test_dataloader.num_workers=0',
         'test_dataloader.persistent_workers=False']

    def run(*options):
        return run_tool(monkeypatch, 'tools/test.py', config, '--data-root',
                        tmp_path / 'data', '--work-dir', tmp_path / 'run',
                        '--cfg-options', *options)

    assert run(*options) is None
    result, = (tmp_path / 'run').glob('*/*.json')
    assert 0 <= json.loads(result.read_text())['IoU'] <= 100
    message = run(*options[:1])
    assert 'model.partitions.s.checkpoint is not set' in message


def test_the_tool_asks_for_a_checkpoint_otherwise(monkeypatch):
    config = CONFIGS / 'changer/changer-r18_1xb8-200k_jl1cd-512x512.py'
    message = run_tool(monkeypatch, 'tools/test.py', config)
    assert 'names no checkpoint itself, expected CHECKPOINT' in message


def test_converted_checkpoint_brings_its_teachers(tmp_path):
    """Keys teachers.<name>. reach them, with any prefix before."""
    source, target = mtkd(), mtkd()
    for value in tensors(source).values():
        if value.is_floating_point():
            value.data.add_(0.25)
    state = dict(source.state_dict())
    for name, teacher in source.teachers.items():
        for key, value in teacher.state_dict().items():
            state[f'teachers.{name}.{key}'] = value + 1
    path = tmp_path / 'all.pth'
    torch.save(state, path)
    holder = nn.ModuleDict(dict(module=target))
    holder.load_state_dict(
        {f'module.{k}': v for k, v in load_checkpoint_file(path).items()},
        strict=True)
    weight = 'decode_head.conv_seg.weight'
    assert torch.equal(target.state_dict()[weight], state[weight])
    for name, teacher in target.teachers.items():
        assert torch.equal(teacher.state_dict()[weight],
                           state[f'teachers.{name}.{weight}'])
    del state[f'teachers.l.{weight}']
    state['teachers.s.neck.other'] = torch.ones(1)
    with pytest.raises(ValueError, match=re.escape(
            f"1 missing, first ['teachers.l.{weight}']; 1 unexpected, first "
            "['teachers.s.neck.other']")):
        load_weights(target, state, 'file')
