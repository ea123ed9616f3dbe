"""MTKD against figures measured on Open-CD, every array and every row."""
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.models.losses import accuracy
from mmseg.structures import SegDataSample

from opencd_gold.apis.convert import RULES
from opencd_gold.change_area import change_area_ratios
from opencd_gold.models.detectors import ChangeAreaRouter
from opencd_gold.models.losses import (
    TeacherDivergenceLoss,
    TeacherSquareLoss,
)
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

from . import rule

CONFIGS = Path(__file__).parents[2] / 'configs' / 'mtkd'
REFERENCE = 'mtkd-changer-mit-b0_reference.py'
FIG = rule.Figures('mtkd')
CASES = {}


def case(name):

    def register(function):
        CASES[name] = function
        return function

    return register


def build(config=REFERENCE, **options):
    cfg = Config.fromfile(CONFIGS / config)
    cfg.merge_from_dict({
        'model.student.backbone.init_cfg': None,
        **options
    })
    init_default_scope(cfg.default_scope)
    return MODELS.build(cfg.model)


def load(config, system, shapes, **options):
    state, dead = RULES[system].convert(rule.state_dict(shapes))
    assert not dead
    model = build(config, **options)
    model.load_state_dict(state, strict=True)
    return model.eval()


@pytest.fixture(scope='module')
def reference():
    return load(REFERENCE, 'mtkd', FIG.info['state'])


def outputs(logits):
    return BranchOutputs(None, None, None, logits)


def losses_of(kind, options):
    """The authors' losses as sums of two."""
    divergence = TeacherDivergenceLoss(
        options.get('temperature', 1.), options.get('loss_weight', 1.))
    if kind == 'DistillLoss':
        return [divergence]
    if kind == 'kd_loss':
        return [TeacherSquareLoss(1., ignore_value=255)]
    return [divergence, TeacherSquareLoss(options.get('pixel_weight', 1.))]


@case('losses')
def losses(_):
    shapes = FIG.cases['losses']['inputs']

    def stacked(names):
        return torch.cat([rule.tensor(name, shapes[name]) for name in names])

    for row in FIG.cases['losses']['values']:
        student = stacked(row['student']).requires_grad_()
        teacher = outputs(stacked(row['teacher']))
        value = sum(
            sum(loss(outputs(student), teacher, None).values())
            for loss in losses_of(row['type'], row['options']))
        FIG.check(row['name'], value[None], relative=True)
        if f'{row["name"]}.grad0' in FIG.arrays:
            value.backward()
            FIG.check(f'{row["name"]}.grad0', student.grad, relative=True)


def step_batch():
    info = FIG.cases['step']
    inputs = rule.tensor('mtkd/x', info['inputs']['mtkd/x'])
    samples = []
    for name, label in info['labels'].items():
        target = rule.label(name, label['shape'], label['p'])
        if name in info['ignore']:
            rows = slice(*info['ignore'][name]['rows'])
            target[:, rows] = info['ignore'][name]['value']
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=target)
        samples.append(sample)
    return inputs, samples


@case('step')
def step(model):
    info = FIG.cases['step']
    inputs, samples = step_batch()
    target = torch.cat([sample.gt_sem_seg.data for sample in samples])
    with torch.no_grad():
        student = model(inputs, mode='tensor')
        FIG.check('step.student', student)
        for name, teacher in model.teachers.items():
            FIG.check(f'step.teacher_{name}', teacher(inputs, mode='tensor'))
        found = model(inputs, samples, mode='loss')
    assert set(found) == {'loss_ce', 'distill_square'}
    FIG.check('step.loss_ce', found['loss_ce'][None])
    FIG.check('step.distill', found['distill_square'][None], relative=True)
    total, _ = model.parse_losses(found)
    FIG.check('step.reference_total', total[None])
    names = list(model.teachers)
    ratios = change_area_ratios(target, count_ignored=True)
    np.testing.assert_allclose(ratios, info['car_train'], rtol=1e-6)
    assert [names[i] for i in model.router(target)] == info['teachers']

    valid = build(**{'model.router.count_ignored': False})
    valid.load_state_dict(
        RULES['mtkd'].convert(rule.state_dict(FIG.info['state']))[0])
    with torch.no_grad():
        value = valid.eval()(inputs, samples, mode='loss')['distill_square']
    FIG.check('step.distill_valid_only', value[None], relative=True)
    logits = model.decode_head.upsample(student, target.shape[-2:])
    FIG.check('step.acc_seg', accuracy(logits, target, ignore_index=255))


def labels(row):
    """Label of training, and the two readings of the PNG file."""
    count = row['H'] * row['W']
    training = torch.zeros(count, dtype=torch.long)
    changed, grey, ignored = (row[k] for k in ('changed', 'grey200', 'ignore'))
    training[:changed + grey] = 1
    white = training.clone()
    white[changed:] = 0
    training[changed + grey:changed + grey + ignored] = 255
    shape = (1, row['H'], row['W'])
    return training.view(shape), white.view(shape)


@case('routing')
def routing(_):
    rows = FIG.cases['routing']['rows']
    three, two = (FIG.cases['routing']['thresholds'][k]
                  for k in ('three', 'two'))
    split = ChangeAreaRouter(three, inclusive=True)
    split_two = ChangeAreaRouter(two, inclusive=True)
    train = ChangeAreaRouter(three, count_ignored=True)
    train_two = ChangeAreaRouter(two, count_ignored=True)
    trained, written = [], []
    for row in rows:
        label, png = labels(row)
        trained.append(change_area_ratios(label, count_ignored=True)[0])
        written.append(change_area_ratios(png)[0])
        valid = change_area_ratios(label)[0]
        assert valid == pytest.approx(row['car_valid'], rel=1e-6), row
        assert 'sml' [split(png)[0]] == row['split'] == row['op'], row
        assert 'sl' [split_two(png)[0]] == row['op2'], row
        assert 'sml' [train(label)[0]] == row['train'], row
        assert 'sl' [train_two(label)[0]] == row['train2'], row
    FIG.check('routing.car_train', np.array(trained))
    FIG.check('routing.car_png', np.array(written))


def batch_norm_updates(module):
    return int(module.neck.lateral_convs[0].bn.num_batches_tracked)


@case('training_side_effects')
def training_side_effects(_):
    """The reference form has them, the form we train with has not."""
    info = FIG.cases['training_side_effects']
    inputs, samples = step_batch()
    inputs, samples = inputs[:3], samples[:3]
    for config, plain in ((REFERENCE, True), (STEP3, False)):
        model = build(config).train()
        before = batch_norm_updates(model)
        teachers = [batch_norm_updates(t) for t in model.teachers.values()]
        losses = model(inputs, samples, mode='loss')
        total, _ = model.parse_losses(losses)
        total.backward()
        updates = batch_norm_updates(model) - before
        moved = [
            batch_norm_updates(teacher) - start
            for teacher, start in zip(model.teachers.values(), teachers)
        ]
        counted = {name for name in losses if 'loss' in name}
        if plain:
            assert updates == info['student_bn_updates_of_head'] == 4
            assert set(moved) == {
                info['teacher_bn_updates_of_head_per_routed_sample']
            }
            assert [t.training for t in model.teachers.values()] == [
                info['teacher_training_flag']
            ] * 3
            assert counted == {'loss_ce'}
        else:
            assert updates == 2
            assert set(moved) == {0}
            assert not any(t.training for t in model.teachers.values())
            assert counted == {'loss_ce', 'loss_distill_square'}
        for teacher in model.teachers.values():
            gradients = [p.grad for p in teacher.parameters()]
            assert gradients == [None] * len(gradients)


STEP3 = 'step3/mtkd-changer-mit-b0_1xb8-200k_jl1cd-512x512.py'


@pytest.mark.parametrize('name', sorted(FIG.cases))
def test_case(name, reference):
    FIG.seen.clear()
    CASES[name](reference)
    assert set(FIG.seen) == set(FIG.cases[name]['arrays'])


def test_every_array_belongs_to_a_case():
    named = {name for info in FIG.cases.values() for name in info['arrays']}
    assert named == set(FIG.arrays)


def test_step_in_the_efficient_form(reference):
    """One head pass, a batch for each teacher: the same distillation."""
    inputs, samples = step_batch()
    fast = load(REFERENCE, 'mtkd', FIG.info['state'], **{'model.plain': False})
    with torch.no_grad():
        value = fast(inputs, samples, mode='loss')['distill_square']
    error = abs(float(value) - float(FIG.arrays['step.distill'][0]))
    assert error <= 1e-4 * float(FIG.arrays['step.distill'][0])
