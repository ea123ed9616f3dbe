"""Losses against their formulas, written out here pixel by pixel.

The figures of the authors' code are in tests/parity.
"""
import math
from functools import partial

import pytest
import torch

from opencd_gold.models.losses import (
    AttentionTransferLoss,
    ChangeCrossEntropyLoss,
    ChangeDiceLoss,
    FeatureDistillLoss,
    GuideAlignLoss,
    LogitDistillLoss,
    PyramidAlignLoss,
    PyramidAttentionLoss,
    PyramidFeatureLoss,
    RegionAwareDistillLoss,
)
from opencd_gold.models.losses.maps import (
    channel_attention,
    difference_map,
    spatial_attention,
)
from opencd_gold.structures import BranchOutputs

SUPERVISION = {
    'ce': ChangeCrossEntropyLoss(),
    'ce weighted': ChangeCrossEntropyLoss(class_weight=(0.1, 0.9)),
    'dice mean': ChangeDiceLoss(mode='mean'),
    'dice change': ChangeDiceLoss(mode='change'),
    'dice code': ChangeDiceLoss(mode='code'),
}


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(size=8, seed=0):
    """Two labels whose left quarter is ignored."""
    generator = torch.Generator().manual_seed(seed)
    target = (torch.rand(2, size, size, generator=generator) < 0.3).long()
    target[:, :, :size // 4] = 255
    return target


def branch(seed, size=8, logit_size=8, classes=2, stages=(4, 2)):
    """Outputs of a branch, all of them random leaves."""

    def leaf(*shape, offset):
        return normal(*shape, seed=10 * seed + offset).requires_grad_()

    return BranchOutputs(
        feat_from=leaf(2, 3, size, size, offset=0),
        feat_to=leaf(2, 3, size, size, offset=1),
        fused=leaf(2, 6, size, size, offset=2),
        logits=leaf(2, classes, logit_size, logit_size, offset=3),
        pyramid_from=tuple(
            leaf(2, 5, s, s, offset=4 + i) for i, s in enumerate(stages)),
        pyramid_to=tuple(
            leaf(2, 5, s, s, offset=7 + i) for i, s in enumerate(stages)))


def leaves(outputs):
    return [
        outputs.feat_from, outputs.feat_to, outputs.fused, outputs.logits,
        *outputs.pyramid_from, *outputs.pyramid_to
    ]


def softmax(row):
    powers = [math.exp(value) for value in row]
    return [power / sum(powers) for power in powers]


def pixels(logits, target):
    """(probabilities of both classes, label) of each pixel that counts."""
    rows = logits.detach().permute(0, 2, 3, 1).flatten(0, 2).tolist()
    return [(softmax(row), label)
            for row, label in zip(rows, target.flatten().tolist())
            if label != 255]


# supervision --------------------------------------------------------------


@pytest.mark.parametrize('weight', [None, (0.1, 0.9)])
def test_cross_entropy_is_the_weighted_mean(weight):
    logits, target = normal(2, 2, 8, 8), labels()
    w = weight or (1., 1.)
    counted = pixels(logits, target)
    expected = sum(-w[y] * math.log(p[y]) for p, y in counted) / sum(
        w[y] for _, y in counted)
    loss = ChangeCrossEntropyLoss(class_weight=weight, loss_weight=3.)
    assert loss(logits, target).item() == pytest.approx(3 * expected, rel=1e-5)


@pytest.mark.parametrize('mode', ['mean', 'change', 'code'])
def test_dice_is_that_of_the_soft_counts(mode):
    logits, target = normal(2, 2, 8, 8), labels()
    scores = []
    for c in (0, 1):
        truth = 0 if mode == 'code' else c
        tp = sum(p[c] for p, y in pixels(logits, target) if y == truth)
        fp = sum(p[c] for p, y in pixels(logits, target) if y != truth)
        fn = sum(1 - p[c] for p, y in pixels(logits, target) if y == truth)
        scores.append((2 * tp + 1e-5) / (2 * tp + fp + fn + 1e-5))
    score = scores[1] if mode == 'change' else sum(scores) / 2
    loss = ChangeDiceLoss(mode=mode, loss_weight=2.)
    assert loss(logits, target).item() == pytest.approx(
        2 * (1 - score), rel=1e-5)


def map_and_inverse():
    target = torch.zeros(1, 4, 4, dtype=torch.long)
    target[:, :2, :2] = 1
    certain = 20. * torch.stack([1. - target, 1. * target], dim=1)
    return certain, certain.flip(1), target


def test_dice_of_the_code_cannot_tell_a_map_from_its_inverse():
    right, wrong, target = map_and_inverse()
    loss = ChangeDiceLoss(mode='code')
    assert loss(right, target).item() == pytest.approx(0.5, abs=1e-4)
    assert loss(wrong, target).item() == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize('mode', ['mean', 'change'])
def test_dice_tells_a_map_from_its_inverse(mode):
    right, wrong, target = map_and_inverse()
    loss = ChangeDiceLoss(mode=mode)
    assert loss(right, target).item() == pytest.approx(0., abs=1e-4)
    assert loss(wrong, target).item() == pytest.approx(1., abs=1e-4)


@pytest.mark.parametrize('name', SUPERVISION)
def test_one_channel_equals_two_with_a_zero(name):
    """Sigmoid of z is the softmax of (0, z)."""
    one, target = normal(2, 1, 8, 8).requires_grad_(), labels()
    two = torch.cat([torch.zeros_like(one), one], dim=1)
    loss = SUPERVISION[name]
    values = loss(one, target), loss(two, target)
    torch.testing.assert_close(*values)
    gradients = [torch.autograd.grad(value, one)[0] for value in values]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize('classes', [1, 2])
@pytest.mark.parametrize('name', SUPERVISION)
def test_ignored_pixels_have_no_influence(name, classes):
    logits, target = normal(2, classes, 8, 8).requires_grad_(), labels()
    loss = SUPERVISION[name]
    ignored = (target == 255).unsqueeze(1).expand_as(logits)
    value = loss(logits, target)
    gradient, = torch.autograd.grad(value, logits)
    assert (gradient[ignored] == 0).all()
    assert (gradient[~ignored] != 0).all()
    changed = logits.detach().masked_fill(ignored, 50.)
    assert loss(changed, target) == value
    assert loss(changed.masked_fill(~ignored, 0.), target) != value


@pytest.mark.parametrize('classes', [1, 2])
@pytest.mark.parametrize('name', SUPERVISION)
def test_batch_that_is_ignored_costs_nothing(name, classes):
    logits = normal(2, classes, 8, 8).requires_grad_()
    value = SUPERVISION[name](logits, torch.full((2, 8, 8), 255))
    gradient, = torch.autograd.grad(value, logits)
    assert value.item() == pytest.approx(0, abs=1e-7)
    assert (gradient == 0).all()


def test_another_ignore_index():
    logits, target = normal(2, 2, 8, 8), labels()
    moved = target.masked_fill(target == 255, -1)
    for loss in SUPERVISION.values():
        assert loss(logits, moved, ignore_index=-1) == loss(logits, target)


# distillation -------------------------------------------------------------

DISTILLATION = {
    'feature': FeatureDistillLoss(),
    'output': LogitDistillLoss(),
    'attention': AttentionTransferLoss(),
    'attention paper': AttentionTransferLoss(form='paper'),
    'region': RegionAwareDistillLoss(),
    'pyramid align': PyramidAlignLoss(),
    'pyramid feature': PyramidFeatureLoss(),
    'pyramid attention': PyramidAttentionLoss(),
    'guide': GuideAlignLoss(channels=3),
}
NEEDED = {GuideAlignLoss: dict(channels=3)}


@pytest.mark.parametrize('name', DISTILLATION)
def test_terms_are_those_announced(name):
    loss = DISTILLATION[name]
    values = loss(branch(1), branch(2), labels())
    assert tuple(values) == loss.terms
    for value in values.values():
        assert value.ndim == 0
        assert value > 0


@pytest.mark.parametrize(
    'name',
    [n for n in DISTILLATION if n not in ('output', 'pyramid align')])
@pytest.mark.parametrize('detach', [True, False])
def test_detach_teacher(name, detach):
    """On demand the gradient reaches the student alone."""
    kind = type(DISTILLATION[name])
    loss = kind(detach_teacher=detach, **NEEDED.get(kind, {}))
    student, teacher = branch(1), branch(2)
    sum(loss(student, teacher, labels()).values()).backward()
    assert any(leaf.grad is not None for leaf in leaves(student))
    reached = [leaf for leaf in leaves(teacher) if leaf.grad is not None]
    assert bool(reached) != detach


def test_logits_of_the_teacher_are_always_detached():
    student, teacher = branch(1), branch(2)
    LogitDistillLoss()(student, teacher, labels())['output'].backward()
    assert student.logits.grad.abs().max() > 0
    assert teacher.logits.grad is None


def divergences(student, teacher, target, temperature):
    """Kullback-Leibler divergence of each pixel that counts."""
    rows = []
    for outputs in (student, teacher):
        soft = outputs.logits.detach() / temperature
        rows.append([p for p, _ in pixels(soft, target)])
    return [
        sum(t * math.log(t / s) for s, t in zip(*pair)) for pair in zip(*rows)
    ]


@pytest.mark.parametrize('reduction', ['mean', 'pixel', 'batchmean'])
def test_logit_distillation_is_the_divergence(reduction):
    student, teacher, target = branch(1), branch(2), labels()
    each = divergences(student, teacher, target, temperature=4.)
    assert len(each) == 96  # of 128, a quarter is ignored
    expected = 16 * sum(each) / dict(mean=2 * 96, pixel=96,
                                     batchmean=2)[reduction]
    loss = LogitDistillLoss(temperature=4., reduction=reduction)
    value = loss(student, teacher, target)['output'].item()
    assert value == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize('reduction', ['mean', 'pixel', 'batchmean'])
def test_logit_distillation_ignores_pixels(reduction):
    student, teacher, target = branch(1), branch(2), labels()
    loss = LogitDistillLoss(reduction=reduction)
    value = loss(student, teacher, target)['output']
    value.backward()
    ignored = (target == 255).unsqueeze(1).expand(2, 2, 8, 8)
    assert (student.logits.grad[ignored] == 0).all()
    assert (student.logits.grad[~ignored] != 0).all()
    teacher.logits.data[ignored] = 9 * normal(int(ignored.sum()))
    torch.testing.assert_close(
        loss(student, teacher, target)['output'], value, rtol=0, atol=0)


def test_logit_distillation_is_clamped():
    loss = LogitDistillLoss(max_value=0.01)
    assert loss(branch(1), branch(2), labels())['output'] == 0.01


@pytest.mark.parametrize('loss', [
    LogitDistillLoss(),
    PyramidAttentionLoss(),
], ids=['output', 'pyramid attention'])
def test_distillation_of_one_channel_equals_two(loss):
    one = [branch(seed, classes=1) for seed in (1, 2)]
    two = [branch(seed, classes=1) for seed in (1, 2)]
    for outputs in two:
        outputs.logits = torch.cat(
            [torch.zeros_like(outputs.logits), outputs.logits], dim=1)
    found, expected = loss(*one, labels()), loss(*two, labels())
    for term in loss.terms:
        torch.testing.assert_close(found[term], expected[term])


def test_feature_mask():
    """Changed 4, unchanged 0.5, ignored 0; top left pixel of each cell."""
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    target[0, 0, 0], target[0, 0, 4], target[0, 1, 1] = 1, 255, 1
    mask = FeatureDistillLoss().pixel_weights(target, (2, 2))
    assert mask.tolist() == [[[[4., 0.], [0.5, 0.5]]]]
    mask = FeatureDistillLoss(mask=None).pixel_weights(target, (2, 2))
    assert mask.tolist() == [[[[1., 0.], [1., 1.]]]]


@pytest.mark.parametrize('mask', [(4., 0.5), None])
def test_feature_distillation_is_masked_error_and_pooled_cosine(mask):
    student, teacher, target = branch(1), branch(2), labels()
    s, t = student.fused.detach(), teacher.fused.detach()
    weights = {0: (mask or (1., 1.))[1], 1: (mask or (1., 1.))[0], 255: 0.}
    error = sum((weights[target[n, i, j].item()] *
                 (s[n, c, i, j] - t[n, c, i, j]).item())**2
                for n in range(2) for c in range(6) for i in range(8)
                for j in range(8)) / (2 * 6 * 8 * 8)
    cosine = 0.
    for n in range(2):
        a, b = s[n].mean((1, 2)), t[n].mean((1, 2))
        cosine += (a @ b / (a.norm() * b.norm())).item() / 2
    value = FeatureDistillLoss(mask=mask)(student, teacher, target)['feature']
    assert value.item() == pytest.approx(
        0.7 * error + 0.3 * (1 - cosine), rel=1e-4)


def test_feature_distillation_of_directions():
    """Unit length along channels: scale does not matter."""
    student, teacher, target = branch(1), branch(2), labels()
    loss = FeatureDistillLoss(normalize=True, cosine_weight=0., mask=None)
    value = loss(student, teacher, target)['feature']
    student.fused = 7 * student.fused
    torch.testing.assert_close(
        loss(student, teacher, target)['feature'], value)
    s, t = student.fused, teacher.fused
    cosine = (s * t).sum(1) / (s.norm(dim=1) * t.norm(dim=1))
    counted = target != 255
    expected = 0.7 * ((2 - 2 * cosine) * counted).mean()
    torch.testing.assert_close(value, expected)


def test_attention_transfer_is_three_mean_squared_errors():
    student, teacher, target = branch(1), branch(2), labels()
    valid = (target != 255).unsqueeze(1)

    def difference(outputs):
        x, y = outputs.feat_from, outputs.feat_to
        euclidean = ((x - y).pow(2).sum(1) + 1e-6).sqrt()
        cosine = (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1))
        d = ((euclidean + 1 - cosine) / 2).unsqueeze(1)
        return d / (d.flatten(1).max(1).values.view(2, 1, 1, 1) + 1e-6)

    def channel(outputs):
        x = outputs.fused.flatten(2)
        return torch.sigmoid((x.mean(2) + x.max(2).values) / 2)

    def spatial(outputs):
        x = outputs.fused
        return torch.sigmoid(x.mean(1) + x.max(1).values).unsqueeze(1)

    def error(view, mask=None):
        squared = (view(student) - view(teacher)).pow(2)
        return squared.mean() if mask is None else squared[mask].mean()

    values = AttentionTransferLoss()(student, teacher, target)
    torch.testing.assert_close(values['map'], error(difference, valid))
    torch.testing.assert_close(values['channel'], error(channel))
    torch.testing.assert_close(values['spatial'], error(spatial, valid))


def test_ignored_pixels_do_not_weigh_in_maps():
    """In the maps; a pooled attention sees all pixels."""
    student, teacher, target = branch(1), branch(2), labels()
    loss = AttentionTransferLoss()
    before = loss(student, teacher, target)
    peak = student.feat_to.detach()[:, :, :, 4:].abs().max()
    ignored = (target == 255).unsqueeze(1)
    with torch.no_grad():
        student.fused.masked_fill_(ignored, 3.)
        student.feat_to.copy_(
            torch.where(ignored, student.feat_from + 0.01 * peak,
                        student.feat_to))
    after = loss(student, teacher, target)
    assert after['spatial'] == before['spatial']
    assert after['map'] == before['map']
    assert after['channel'] != before['channel']


@pytest.mark.parametrize('form', ['code', 'paper'])
def test_gradient_of_the_difference_map(form):
    dates = [normal(2, 3, 4, 4, seed=s).double() for s in (0, 1)]
    assert torch.autograd.gradcheck(
        partial(difference_map, form=form),
        [date.requires_grad_() for date in dates])


@pytest.mark.parametrize('attention', [channel_attention, spatial_attention])
def test_gradient_of_the_attentions(attention):
    fused = normal(2, 3, 4, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(attention, (fused, ))


def test_pyramid_feature_is_a_weighted_mean():
    student, teacher = branch(1), branch(2)
    target = labels()
    expected = []
    for stage in (0, 1):
        rows = []
        for outputs in (student, teacher):
            x = outputs.pyramid_from[stage] + outputs.pyramid_to[stage]
            mean = x.mean((1, 2, 3), keepdim=True)
            var = x.var((1, 2, 3), correction=0, keepdim=True)
            rows.append((x - mean) / (var + 1e-5).sqrt())
        step = 8 // rows[0].shape[-1]
        label = target[:, ::step, ::step]
        weight = torch.where(label == 1, 3., 1.) * (label != 255)
        error = (rows[0] - rows[1]).pow(2).sum(1)
        expected.append((error * weight).sum() / (weight.sum() * 5 + 1e-6))
    value = PyramidFeatureLoss()(student, teacher, target)['feature']
    torch.testing.assert_close(value, sum(expected) / 2)


def test_guide_alignment_is_the_mean_angle_of_positions_that_count():
    student, teacher, target = branch(1), branch(2), labels(size=16)
    loss = GuideAlignLoss(channels=3)
    weight, bias = loss.projection.weight[:, :, 0, 0], loss.projection.bias
    distances = []
    for n, row, column in (target[:, ::2, ::2] != 255).nonzero().tolist():
        predicted = weight @ student.feat_to[n, :, row, column] + bias
        guide = teacher.feat_to[n, :, row, column]
        distances.append(
            1 - predicted @ guide / predicted.norm() / guide.norm())
    value = loss(student, teacher, target)['guide']
    torch.testing.assert_close(value, sum(distances) / len(distances))


@pytest.mark.parametrize('name', DISTILLATION)
def test_distillation_of_an_ignored_batch_is_finite(name):
    target = torch.full((2, 8, 8), 255)
    student = branch(1)
    values = DISTILLATION[name](student, branch(2), target)
    sum(values.values()).backward()
    for value in values.values():
        assert torch.isfinite(value)
    for leaf in leaves(student):
        assert leaf.grad is None or torch.isfinite(leaf.grad).all()


# wrong words --------------------------------------------------------------


@pytest.mark.parametrize('loss, key, allowed', [
    (ChangeDiceLoss, 'mode', "'mean', 'change', 'code'"),
    (LogitDistillLoss, 'reduction', "'mean', 'pixel' or 'batchmean'"),
    (AttentionTransferLoss, 'form', "'code' or 'paper'"),
    (RegionAwareDistillLoss, 'form', "'code' or 'paper'"),
])
def test_wrong_word(loss, key, allowed):
    with pytest.raises(ValueError) as error:
        loss(**{key: 'mena'})
    message = str(error.value)
    assert f'{key} must be' in message
    assert allowed in message
    assert "'mena'" in message


@pytest.mark.parametrize('loss', [type(x) for x in DISTILLATION.values()])
def test_mistyped_argument(loss):
    with pytest.raises(TypeError, match='detach_techer'):
        loss(detach_techer=True, **NEEDED.get(loss, {}))
