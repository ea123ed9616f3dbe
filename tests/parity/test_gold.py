"""GOLD against figures measured on the authors' code, every array."""
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config

from opencd_gold.apis import init_model
from opencd_gold.apis.convert import RULES
from opencd_gold.evaluation.change_metric import (
    change_scores,
    confusion_matrix,
)
from opencd_gold.models.losses import (
    AttentionTransferLoss,
    ChangeCrossEntropyLoss,
    ChangeDiceLoss,
    FeatureDistillLoss,
    FixedWeighting,
    LogitDistillLoss,
    PyramidAlignLoss,
    PyramidAttentionLoss,
    PyramidFeatureLoss,
    RegionAwareDistillLoss,
    UncertaintyWeighting,
)
from opencd_gold.models.losses.maps import (
    channel_attention,
    difference_map,
    feature_distance,
    spatial_attention,
)
from opencd_gold.models.necks import ChannelInteraction
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

from . import rule

CONFIGS = Path(__file__).parents[2] / 'configs' / 'gold'
GROUPS = dict(
    cd=dict(student=1.0, teacher=0.4),
    distill=dict(feature=0.7, output=0.3),
    att=dict(map=0.5, channel=0.3, spatial=0.2))
LIMITS = dict(cd=(0.6, None), distill=(None, 0.3), att=(None, 0.2))
RAMPS = {
    name: dict(kind='cosine', epochs=20)
    for name in ('teacher', 'feature', 'output')
}
FIG = rule.Figures('gold')
CASES = {}


def case(name):

    def register(function):
        CASES[name] = function
        return function

    return register


@pytest.fixture(scope='module')
def reference():
    return load('gold_reference.py', 'gold', FIG.info['state'])


def load(config, system, shapes):
    state, _ = RULES[system].convert(rule.state_dict(shapes))
    model = init_model(CONFIGS / config)
    own = model.state_dict()
    own.update(state)
    missing = set(own) - set(state)
    assert all(key.startswith('loss_weighting.') for key in missing)
    model.load_state_dict(own, strict=True)
    return model


def images():
    return [rule.tensor(f'gold/{name}', (2, 3, 64, 64)) for name in 'abc']


def target():
    return rule.label('gold/y', (2, 64, 64), 0.3)


def feature(name, channels=128):
    return rule.tensor(f'gold/{name}', (2, channels, 16, 16))


def wide():
    """Spatially modulated features, so that no loss is close to zero."""
    m1, m2, m3, m4 = (feature(f'm{i}', 1) for i in (1, 2, 3, 4))
    o1 = feature('o1')
    return dict(
        student_fused=0.5 * feature('sf', 256) * m1.abs() - 0.5,
        teacher_fused=0.5 * feature('tf', 256) * m2.abs() + 0.25,
        opt_t1=o1,
        opt_t2=o1 * m3 + 0.3 * feature('o2'),
        sar_t2=o1 * m4 + 0.3 * feature('s2'))


def branches(student_fused, teacher_fused, opt_t1, opt_t2, sar_t2,
             scale=1.):
    student = BranchOutputs(opt_t1 * scale, sar_t2 * scale, student_fused,
                            rule.tensor('gold/sl', (2, 2, 64, 64)))
    teacher = BranchOutputs(opt_t1 * scale, opt_t2 * scale, teacher_fused,
                            rule.tensor('gold/tl', (2, 2, 64, 64)))
    return student, teacher


def plain_branches():
    return branches(
        feature('sf', 256), feature('tf', 256), feature('o1'), feature('o2'),
        feature('s2'))


def weighting(log_vars=None, form='code', limits=True, **kwargs):
    module = UncertaintyWeighting(
        GROUPS,
        task=dict(cd=1.0, distill=0.3, att=0.3),
        form=form,
        task_limits=LIMITS if limits else None,
        schedules=RAMPS,
        **kwargs)
    for name, values in (log_vars or {}).items():
        getattr(module, name).data.copy_(torch.tensor(values))
    return module


def logits(name):
    return rule.tensor(f'gold/{name}', (2, 2, 64, 64))


@case('forward_eval')
def forward_eval(model):
    a, b, c = images()
    with torch.no_grad():
        student, teacher = model.forward_branches(torch.cat([a, b, c], 1))
        alone = model(torch.cat([a, b], 1), mode='tensor')
    torch.testing.assert_close(alone, student.logits, rtol=1e-5, atol=1e-5)
    for index in range(4):
        FIG.check(f'fwd/opt_stage{index + 1}',
                  student.pyramid_from[index][:, ::16])
        FIG.check(f'fwd/sar_stage{index + 1}',
                  student.pyramid_to[index][:, ::16])
    for name, out in (('student', student), ('teacher', teacher)):
        FIG.check(f'fwd/{name}_gate', out.extras['gate'])
        FIG.check(f'fwd/{name}_out', out.logits)
        FIG.check(f'fwd/{name}_enhanced', out.fused[:, ::16])
        FIG.check(f'fwd/{name}_concat', out.extras['concat'][:, ::16])
    FIG.check('fwd/student_out', alone)
    FIG.check('fwd/out1', student.feat_from[:, ::16])
    FIG.check('fwd/out2', student.feat_to[:, ::16])
    FIG.check('fwd/out3', teacher.feat_to[:, ::16])
    with torch.no_grad():
        sample = model(torch.cat([a, b], 1), mode='predict')
    up = torch.stack([s.seg_logits.data for s in sample])
    FIG.check('fwd/student_up', up)
    FIG.check('fwd/pred',
              torch.cat([s.pred_sem_seg.data for s in sample]))


@case('heads')
def heads(model):
    x = 0.02 * feature('hx', 256)
    with torch.no_grad():
        for name, head in (('student', model.decode_head),
                           ('teacher', model.teacher_head)):
            out = head(*x.chunk(2, dim=1))
            FIG.check(f'head/{name}_gate', out.extras['gate'])
            FIG.check(f'head/{name}_enhanced', out.fused[:, ::16])
            FIG.check(f'head/{name}_out', out.logits)


@case('channel_attention_code')
def channel_attention_code(model):
    check_interaction(model, 'code')


@case('channel_attention_paper')
def channel_attention_paper(model):
    check_interaction(model, 'paper')


def check_interaction(model, form):
    module = ChannelInteraction(128, form=form)
    module.load_state_dict(model.interaction.state_dict())
    with torch.no_grad():
        x1, x2 = module(feature('o1'), feature('s2'))
    FIG.check(f'bca/{form}/x1', x1[:, ::16])
    FIG.check(f'bca/{form}/x2', x2[:, ::16])


@case('loss_ce')
def loss_ce(_):
    loss = ChangeCrossEntropyLoss(class_weight=(0.1, 0.9))
    FIG.check('loss/ce/student', loss(logits('sl'), target()))
    FIG.check('loss/ce/teacher', loss(logits('tl'), target()))


@case('loss_dice_code')
def loss_dice_code(_):
    loss = ChangeDiceLoss(mode='code')
    FIG.check('loss/dice_code/student', loss(logits('sl'), target()))
    FIG.check('loss/dice_code/teacher', loss(logits('tl'), target()))


@case('loss_dice_fixed')
def loss_dice_fixed(_):
    for mode, name in (('mean', 'mean'), ('change', 'fg')):
        loss = ChangeDiceLoss(mode=mode)
        FIG.check(f'loss/dice_fixed_{name}/student',
                  loss(logits('sl'), target()))
        FIG.check(f'loss/dice_fixed_{name}/teacher',
                  loss(logits('tl'), target()))


@case('loss_feature')
def loss_feature(_):
    student, teacher = plain_branches()

    def value(**kwargs):
        loss = FeatureDistillLoss(**kwargs)
        return loss(student, teacher, target())['feature']

    mask = FeatureDistillLoss().pixel_weights(target(), (16, 16))
    FIG.check('loss/feature_mask', mask)
    FIG.check('loss/feature/mask', value())
    FIG.check('loss/feature/nomask', value(mask=None))
    FIG.check('loss/feature/mse_mask', value(mse_weight=1, cosine_weight=0))
    FIG.check('loss/feature/mse_nomask',
              value(mask=None, mse_weight=1, cosine_weight=0))
    FIG.check('loss/feature/cos', value(mse_weight=0, cosine_weight=1))


@case('loss_output')
def loss_output(_):
    student, teacher = plain_branches()
    for reduction in ('mean', 'batchmean'):
        loss = LogitDistillLoss(temperature=2.0, reduction=reduction)
        FIG.check(f'loss/output/{reduction}',
                  loss(student, teacher, target())['output'])


def check_attention(prefix, student, teacher):
    loss = AttentionTransferLoss()
    terms = loss(student, teacher, target())
    map_s, map_t = loss.maps(student, teacher)
    FIG.check(f'{prefix}/map_student', map_s)
    FIG.check(f'{prefix}/map_teacher', map_t)
    FIG.check(f'{prefix}/diff_map', terms['map'])
    FIG.check(f'{prefix}/channel', terms['channel'])
    FIG.check(f'{prefix}/spatial', terms['spatial'])
    FIG.check(
        f'{prefix}/total', 0.6 * terms['map'] + 0.25 * terms['channel'] +
        0.15 * terms['spatial'])


@case('loss_attention')
def loss_attention(_):
    student, teacher = plain_branches()
    check_attention('loss/att', student, teacher)
    for name, out in (('student', student), ('teacher', teacher)):
        FIG.check(f'loss/att/spatial_{name}', spatial_attention(out.fused))
        FIG.check(f'loss/att/channel_{name}', channel_attention(out.fused))


@case('loss_attention_wide')
def loss_attention_wide(_):
    check_attention('loss/att_wide', *branches(**wide()))


@case('weights_code')
def weights_code(_):
    info = FIG.cases['weights_code']['options']
    epochs = info['epochs']
    FIG.check('weights/epochs', epochs)
    for key, log_vars in info['log_vars'].items():
        module = weighting(log_vars)
        rows = defaultdict(list)
        for epoch in epochs:
            for name, row in module.weights(epoch).items():
                rows[name].append(row.detach())
            rows['task_unclipped'].append(
                module.group_weights('task', epoch).detach())
        for name, row in rows.items():
            FIG.check(f'weights/code/{key}/{name}', torch.stack(row))
    ramp = [
        0.5 * (1 - np.cos(np.pi * min(epoch / 20, 1))) for epoch in epochs
    ]
    module = FixedWeighting(
        dict(g=dict(feature=1.)),
        schedules=dict(feature=dict(kind='cosine', epochs=20)))
    ours = [
        module(dict(feature=torch.tensor(1.)), epoch)[0]['loss_g']
        for epoch in epochs
    ]
    FIG.check('weights/code/distill_ramp', torch.stack(ours))
    np.testing.assert_allclose(ours, ramp, atol=1e-6)


def total_terms(student, teacher, reduction):
    ce = ChangeCrossEntropyLoss(class_weight=(0.1, 0.9))
    dice = ChangeDiceLoss(mode='code', loss_weight=1.5)
    terms = {}
    for name, out in (('student', student), ('teacher', teacher)):
        terms[name] = ce(out.logits, target()) + dice(out.logits, target())
    for loss in (FeatureDistillLoss(),
                 LogitDistillLoss(temperature=2.0, reduction=reduction),
                 AttentionTransferLoss()):
        terms.update(loss(student, teacher, target()))
    return terms


def levels(module, terms, epoch):
    """LCD, LDISTILL, LA and the total."""
    losses, _ = module(terms, epoch)
    task = module.weights(epoch)['task']
    parts = [losses[f'loss_{group}'] for group in GROUPS]
    return [part / weight for part, weight in zip(parts, task)] + [sum(parts)]


@case('total_code')
def total_code(_):
    student, teacher = branches(**wide())
    log_vars = FIG.cases['weights_code']['options']['log_vars']
    for reduction in ('mean', 'batchmean'):
        terms = total_terms(student, teacher, reduction)
        for key in ('zero', 'mixed'):
            module = weighting(log_vars[key])
            rows = [
                torch.stack(levels(module, terms, epoch))
                for epoch in FIG.arrays['weights/epochs']
            ]
            FIG.check(f'total/code/{reduction}/{key}', torch.stack(rows))


@case('total_grad')
def total_grad(_):
    inputs = {name: x.requires_grad_() for name, x in wide().items()}
    student, teacher = branches(**inputs)
    student.logits.requires_grad_()
    teacher.logits.requires_grad_()
    terms = total_terms(student, teacher, 'mean')
    total = levels(weighting(), terms, 10)[-1]
    (1e4 * total).backward(retain_graph=True)
    named = dict(
        student_logits=student.logits,
        teacher_logits=teacher.logits,
        student_feat=inputs['student_fused'],
        teacher_feat=inputs['teacher_fused'],
        opt_t1=inputs['opt_t1'],
        opt_t2=inputs['opt_t2'],
        sar_t2=inputs['sar_t2'])
    for name, x in named.items():
        FIG.check(f'total/grad_norm/{name}', x.grad.norm(), relative=True)
    module = weighting(FIG.cases['weights_code']['options']['log_vars'][
        'mixed'])
    terms = {name: value.detach() for name, value in terms.items()}
    (1e4 * levels(module, terms, 10)[-1]).backward()
    for group in (*GROUPS, 'task'):
        FIG.check(f'total/grad_log_vars/{group}', getattr(module, group).grad)
    module = weighting()
    levels(module, terms, 20)[-1].backward()
    FIG.check('total/grad_log_vars_epoch20_zero/task', module.task.grad)


def gradient_norms(model, prefixes):
    """Norm of the gradient below each of the authors' modules."""
    squares = defaultdict(float)
    rules = RULES['gold']
    grads = {name: p.grad for name, p in model.named_parameters()}
    for key in FIG.info['state']:
        converted, _ = rules.convert({key: None})
        for name in converted:
            grad = grads.get(name)
            if grad is not None:
                squares[key.split('.')[0]] += float(grad.pow(2).sum())
    return np.sqrt([squares[prefix] for prefix in prefixes])


@case('end_to_end')
def end_to_end(model):
    prefixes = FIG.cases['end_to_end']['options']['prefixes']
    model.zero_grad()
    student, teacher = model.forward_branches(torch.cat(images(), 1))
    terms = model.loss_terms(student, teacher, target())
    values = levels(model.loss_weighting, terms, 10)
    FIG.check('e2e/losses', torch.stack(values))
    values[-1].backward(retain_graph=True)
    FIG.check(
        'e2e/grad_norm',
        gradient_norms(model, prefixes),
        relative=True,
        tolerance=1e-3)
    model.zero_grad()
    up = F.interpolate(
        teacher.logits, size=(64, 64), mode='bilinear', align_corners=True)
    value = ChangeCrossEntropyLoss(class_weight=(0.1, 0.9))(up, target())
    FIG.check('e2e/teacher_ce', value)
    value.backward()
    FIG.check(
        'e2e/teacher_ce_grad_norm',
        gradient_norms(model, prefixes),
        relative=True,
        tolerance=1e-3)
    model.zero_grad()


@case('paper_alg4')
def paper_alg4(_):
    """The schedule of the paper, from this package's losses."""
    student, teacher = plain_branches()
    feat = FeatureDistillLoss(mask=None)(student, teacher, target())
    out = LogitDistillLoss()(student, teacher, target())
    att = paper_attention()['total']
    rows = []
    epochs = FIG.cases['paper_alg4']['options']['epochs']
    for epoch in epochs:
        share = min(0.4 + 0.01 * (epoch - 10), 0.6)
        w = (0.3, 0.4, 0.3) if epoch <= 10 else (1 - share, share, 1 - share)
        module = FixedWeighting(
            dict(d=dict(feature=w[0], output=w[1], map=w[2])))
        losses, _ = module(dict(**feat, **out, map=att), epoch)
        rows.append(losses['loss_d'])
    FIG.check('paper/alg4/epochs', epochs)
    FIG.check('paper/alg4/L_D', torch.stack(rows))


def paper_attention():
    student, teacher = branches(**wide(), scale=0.05)
    loss = AttentionTransferLoss(form='paper')
    terms = loss(student, teacher, target())
    terms['total'] = (0.5 * terms['map'] + 0.3 * terms['channel'] +
                      0.2 * terms['spatial'])
    terms['maps'] = loss.maps(student, teacher)
    return terms


@case('paper_alg5')
def paper_alg5(_):
    terms = paper_attention()
    FIG.check('paper/alg5/map_student', terms['maps'][0])
    FIG.check('paper/alg5/map_teacher', terms['maps'][1])
    FIG.check('paper/alg5/diff_map', terms['map'])
    FIG.check('paper/alg5/total', terms['total'])
    lowest = min(
        difference_map(feature('o1'), feature(name), 'paper').min()
        for name in ('o2', 's2'))
    FIG.check('paper/alg5/saturated_min', lowest)


@case('paper_alg6')
def paper_alg6(_):
    info = FIG.cases['paper_alg6']['options']
    for key, log_vars in info['log_vars (= log v_k)'].items():
        module = weighting(log_vars, form='paper', limits=False)
        for group in (*GROUPS, 'task'):
            rows = [
                module.weights(epoch)[group].detach()
                for epoch in info['epochs']
            ]
            FIG.check(f'paper/alg6/{key}/{group}', torch.stack(rows))


@case('paper_alg7')
def paper_alg7(_):
    student, teacher = branches(**wide())
    for per_sample in (True, False):
        prefix = 'paper/alg7/' + ('per_sample' if per_sample else 'batch')
        loss = RegionAwareDistillLoss(
            per_sample=per_sample, feature_scale=0.05)
        inside, outside = loss.feature_terms(student, teacher)
        FIG.check(f'{prefix}/L_c', 2 * inside)
        FIG.check(f'{prefix}/L_nc', 0.5 * outside)
        FIG.check(f'{prefix}/L_f', 2 * inside + 0.5 * outside)
        FIG.check(f'{prefix}/L_DW', loss(student, teacher, target())['region'])
        if per_sample:
            distance = feature_distance(teacher.feat_from * 0.05,
                                        teacher.feat_to * 0.05)
            FIG.check('paper/alg7/D_o', distance)
            regions = loss.regions(distance)
            FIG.check(f'{prefix}/D_n', regions['normalised'])
            FIG.check(f'{prefix}/M_w', regions['weights'])
            FIG.check(f'{prefix}/R_c', regions['changed'])
            terms = AttentionTransferLoss.forward(loss, student, teacher,
                                                  target())
            FIG.check(f'{prefix}/L_a', terms['spatial'] + terms['channel'])
            FIG.check(f'{prefix}/L_d', terms['map'])


def variant_branches():

    def at(name, channels, size):
        return rule.tensor(f'gold/v/{name}', (2, channels, size, size))

    pyramids = dict(first=[], sar=[], guide=[])
    for stage, channels, size in (('3', 320, 8), ('4', 512, 4)):
        first = at(f'c{stage}_1', channels, size)
        pyramids['first'].append(first)
        for name, date in (('sar', 2), ('guide', 3)):
            pyramids[name].append(
                first * at(f'm{stage}_{date}', 1, size) +
                0.3 * at(f'c{stage}_{date}', channels, size))
    empty = torch.zeros(2, 1, 1, 1)
    return [
        BranchOutputs(
            empty,
            empty,
            empty,
            logits(name),
            pyramid_from=tuple(pyramids['first']),
            pyramid_to=tuple(pyramids[other]))
        for name, other in (('sl', 'sar'), ('tl', 'guide'))
    ]


@case('variant_losses')
def variant_losses(_):
    student, teacher = variant_branches()
    terms = {}
    losses = [
        PyramidAlignLoss(),
        PyramidFeatureLoss(),
        PyramidAttentionLoss(),
        LogitDistillLoss(temperature=8, reduction='pixel', max_value=50.)
    ]
    for loss in losses:
        terms.update(loss(student, teacher, target()))
    arrays = dict(
        align_student='align_student',
        align_teacher='align_teacher',
        feat_kd='feature',
        kd='output',
        attD_map='map',
        attD_sp='spatial',
        attD_ch='channel')
    for name, term in arrays.items():
        FIG.check(f'variant/{name}', terms[term])
    for name, out in (('student', student), ('teacher', teacher)):
        terms[name] = (
            ChangeCrossEntropyLoss()(out.logits, target()) +
            ChangeDiceLoss(mode='code')(out.logits, target()))
    module = FixedWeighting(**variant_weighting())
    epochs = FIG.cases['variant_losses']['options']['epochs']
    FIG.check('variant/epochs', epochs)
    rows = [sum(module(terms, epoch)[0].values()) for epoch in epochs]
    FIG.check('variant/total', torch.stack(rows))


def variant_weighting():
    ramp = dict(kind='linear', epochs=12)
    decay = dict(kind='inverse', epochs=1)
    return dict(
        groups=dict(
            cd=dict(student=1.0, teacher=0.12),
            distill=dict(output=5e-3, feature=0.5),
            align=dict(
                align_student=0.5 * 0.3 * 0.3, align_teacher=0.5 * 0.3 * 0.2),
            att=dict(map=0.5 * 0.6, channel=0.5 * 0.25, spatial=0.5 * 0.15)),
        schedules=dict(
            teacher=dict(kind='linear', epochs=8),
            output=ramp,
            map=ramp,
            channel=ramp,
            spatial=ramp,
            align_student=decay,
            align_teacher=decay))


@case('metrics')
def metrics(_):
    prediction = rule.label('gold/p', (2, 64, 64), 0.3)
    matrix = confusion_matrix(target(), prediction, num_classes=2)
    FIG.check('metrics/confusion', matrix)
    scores = [change_scores(matrix, change_class=c) for c in (0, 1)]
    values = [scores[1]['OA'], scores[1]['mIoU']]
    values += [(scores[0]['F1'] + scores[1]['F1']) / 2]
    for name in ('IoU', 'F1', 'Precision', 'Recall'):
        values += [scores[0][name], scores[1][name]]
    FIG.check('metrics/values', values)


@case('baseline_two_branch')
def baseline_two_branch(_):
    model = load('gold_reference-two-branch.py', 'gold-two-branch',
                 FIG.info['state_dual'])
    a, b, _ = images()
    with torch.no_grad():
        FIG.check('dual/out', model(torch.cat([a, b], 1), mode='tensor'))


@pytest.mark.parametrize('name', sorted(FIG.cases))
def test_case(name, reference):
    FIG.seen.clear()
    CASES[name](reference)
    assert set(FIG.seen) == set(FIG.cases[name]['arrays'])


def test_every_array_belongs_to_a_case():
    named = {name for info in FIG.cases.values() for name in info['arrays']}
    assert named == set(FIG.arrays)


def test_dead_keys_are_named():
    _, dead = RULES['gold'].convert(rule.state_dict(FIG.info['state']))
    assert len(dead) == 12
    assert all('discriminator' in key for key in dead)


def test_checkpoint_of_another_model_is_refused():
    with pytest.raises(KeyError, match='fit no rule'):
        RULES['gold'].convert({'backbone.conv1.weight': torch.zeros(1)})


def test_parameter_counts(reference):
    """25,403,526 without the dead modules; 0.25 of it in the light one."""
    weights = sum(p.numel() for p in reference.loss_weighting.parameters())
    total = sum(p.numel() for p in reference.parameters()) - weights
    assert total == 25_403_526
    light = MODELS.build(
        Config.fromfile(CONFIGS / 'gold_r18-light_4xb8-100k_hcd3s-512x512.py').
        model)
    weights = sum(p.numel() for p in light.loss_weighting.parameters())
    small = sum(p.numel() for p in light.parameters()) - weights
    assert small <= 0.253 * total
