"""HeteCD: the contract, its head in both forms, alignment, pretrained MiT.

The figures of the authors' code are in tests/parity.
"""
import math
import re

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from models.contract import (
    CONFIGS,
    DetectorContract,
    TeacherContract,
    gradients,
    make_batch,
    total,
)
from torch import nn

from opencd_gold.apis import prepare_for_inference
from opencd_gold.apis.complexity import count_multiply_adds
from opencd_gold.apis.convert import RULES
from opencd_gold.apis.publish import plain_model_config, publish
from opencd_gold.models import BitemporalDetector, MixTransformer
from opencd_gold.models.decode_heads import spatio_temporal_head
from opencd_gold.models.decode_heads.spatio_temporal_head import (
    SpatioTemporalDifference,
    SpatioTemporalDifferenceHead,
)
from opencd_gold.models.losses import (
    FeatureAlignLoss,
    FeatureConsistencyLoss,
    FeatureKLLoss,
    PyramidAlignLoss,
)
from opencd_gold.models.losses.alignment import (
    alignment,
    unchanged_positions,
)
from opencd_gold.registry import MODELS
from opencd_gold.structures import BranchOutputs

STANDARD = 'hetecd/hetecd_mit-b2_2xb4-200e_xiongan-512x512.py'
PLAIN = ('hetecd/hetecd_mit-b2-plain-for-comparison_2xb4-200e_'
         'xiongan-512x512.py')
LIGHT = 'hetecd/hetecd_mit-b0-light_2xb4-200e_xiongan-512x512.py'
SCRATCH = {
    'model.backbone.pretrained': False,
    'model.backbone_to.pretrained': False
}
# A batch of two may lose a whole block in both samples.
ALL_BLOCKS = {
    'model.backbone.drop_path_rate': 0.,
    'model.backbone_to.drop_path_rate': 0.
}
NARROW = dict(
    embed_dims=8, num_layers=[1] * 4, drop_rate=0., attn_drop_rate=0.,
    drop_path_rate=0.)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class ExportsPlainForm:
    """An exported block has the plain form: equal in float32 alone."""

    def test_export(self):
        self.overrides = {
            **self.overrides, 'model.test_cfg.precision': 'float32'
        }
        super().test_export()


class TestLight(ExportsPlainForm, DetectorContract):
    config = 'hetecd/hetecd_mit-b0-light_1xb8-1500_ombria-256x256.py'
    overrides = ALL_BLOCKS
    frozen_norms = False


class TestEfficientNetLite(ExportsPlainForm, DetectorContract):
    config = 'hetecd/hetecd_efflite0_1xb8-1500_ombria-256x256.py'
    overrides = SCRATCH


class TestGoldVariant(ExportsPlainForm, TeacherContract):
    """Encoders and decoder of HeteCD in GOLD."""

    config = 'gold/gold_mit-b0_1xb8-1500_ombria-256x256.py'
    overrides = ALL_BLOCKS
    frozen_norms = False


# the difference block --------------------------------------------------------


def blocks(channels=20):
    """Both forms, same weights, lived-in norms; D is no multiple of 14."""
    fast = SpatioTemporalDifference(channels)
    plain = SpatioTemporalDifference(channels, plain=True)
    for module in fast.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    plain.load_state_dict(fast.state_dict(), strict=True)
    return fast, plain


def dates(channels=20, count=3, size=(5, 9), scale=16.):
    return [
        (scale * torch.randn(count, channels, *size)).requires_grad_()
        for _ in range(2)
    ]


def test_fast_block_equals_the_plain_one_in_prediction():
    fast, plain = (module.eval() for module in blocks())
    pair = dates()
    with torch.no_grad():
        expected = plain(*pair)
        torch.testing.assert_close(fast(*pair), expected)
        x = torch.stack(pair, 2).flatten(1, 2)
        attended = torch.cat([fast.attend(x, i) for i in range(3)], 1)
        torch.testing.assert_close(
            attended, plain.attend_plain(x), rtol=1e-5, atol=1e-5)
    assert attended.abs().max() > 1
    assert expected.std() > 1e-3


@pytest.mark.parametrize('at_once', [2**23, 1])
def test_fast_block_has_the_gradients_of_the_plain_one(monkeypatch, at_once):
    """Also where samples take turns. Norms in training, no dropout."""
    monkeypatch.setattr(spatio_temporal_head, '_AT_ONCE', at_once)
    results = []
    inputs = dates()
    weight = torch.randn(3, 20, 5, 9)
    for module in blocks():
        module.train()
        module.dropout.eval()
        pair = [x.detach().clone().requires_grad_() for x in inputs]
        (module(*pair) * weight).sum().backward()
        found = {name: p.grad for name, p in module.named_parameters()}
        found.update(first=pair[0].grad, other=pair[1].grad)
        found.update(
            (name, b) for name, b in module.named_buffers() if 'run' in name)
        results.append(found)
    fast, plain = results
    assert len(plain) == 6 + 2 + 1 + 8 + 2 + 4
    for name, expected in plain.items():
        scale = expected.abs().max().item()
        if 'conv.bias' not in name:
            assert scale > 1e-4, name
        torch.testing.assert_close(
            fast[name], expected, rtol=0, atol=1e-4 * scale + 1e-6, msg=name)


def test_volume_sees_neighbours_in_time_and_depth():
    """One number of the 3D convolution, by its definition."""
    fast, _ = blocks()
    x = torch.randn(1, 40, 7, 7)
    conv = fast.conv3d[1]
    for depth in (0, 13, 14, 39):
        expected = conv.bias.item()
        for d in (-1, 0, 1):
            if not 0 <= depth + d < 40:
                continue
            window = x[0, depth + d, 1:6, 1:6]
            expected += (window * conv.weight[0, 0, d + 1]).sum().item()
        expected *= 0.5 * (1 + math.erf(expected / math.sqrt(2)))
        found = fast.volume(x, 1)[0, depth, 3, 3].item()
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_channels_of_the_dates_take_turns():
    fast, _ = blocks()
    seen = []
    fast._fused = lambda x: seen.append(x) or x
    pair = dates(count=1)
    fast.eval()(*pair)
    assert torch.equal(seen[0][:, 0::2], pair[0])
    assert torch.equal(seen[0][:, 1::2], pair[1])


def numbers_kept(module, pair):
    """Numbers that autograd keeps for the backward pass."""
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes() // 4
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        out = module(*pair)
    kept = sum(kept.values())
    return kept - sum(p.numel() for p in module.parameters()), out


def test_fast_block_keeps_less_than_half():
    """The volumes are made anew; but for these, 1.5 maps of depth D a norm."""
    fast, plain = blocks()
    pair = dates(size=(32, 32))
    fast_kept, fast_out = numbers_kept(fast.train(), pair)
    plain_kept, plain_out = numbers_kept(plain.train(), pair)
    # What the recomputation starts from is kept, but not by autograd.
    fast_kept += sum(x.numel() for x in pair)
    assert fast_kept < 0.4 * plain_kept
    assert fast_out.requires_grad and plain_out.requires_grad


# the head --------------------------------------------------------------------


def pyramid(sizes=(8, 4, 2, 1), widths=(3, 4, 5, 6), count=2):
    return tuple(
        torch.randn(count, width, size, size)
        for width, size in zip(widths, sizes))


def head(**kwargs):
    init_default_scope('opencd_gold')
    return SpatioTemporalDifferenceHead(
        in_channels=[3, 4, 5, 6], channels=8, **kwargs)


def test_whole_positions_are_dropped_in_training():
    module = head(dropout_ratio=0.25).train()
    x = torch.randn(2, 3, 16, 16)
    embedded = module.embeds[0](x)
    found = module._embed(x, 0)
    dropped = (found == 0).all(1, keepdim=True)
    assert 0.1 < dropped.float().mean() < 0.4
    torch.testing.assert_close(
        found, torch.where(dropped, 0., embedded / 0.75))
    assert torch.equal(module.eval()._embed(x, 0), embedded)


def test_sizes_that_are_no_multiples_of_two():
    """Where the authors' code fails."""
    sizes = (9, 5, 3, 2)
    out = head().eval()(pyramid(sizes), pyramid(sizes))
    assert out.logits.shape == (2, 2, 9, 9)
    assert out.fused.shape == (2, 8, 9, 9)


def test_hidden_channels():
    assert head().pred.conv.out_channels == 2
    assert head(out_channels=1).pred.conv.out_channels == 2
    module = head(hidden_channels=5)
    assert module.pred.bn.num_features == 5
    assert module.conv_seg.weight.shape == (2, 5, 3, 3)
    assert module(pyramid(), pyramid()).logits.shape == (2, 2, 8, 8)


def test_number_of_stages_is_checked():
    with pytest.raises(
            ValueError, match=r'got \(3, 4, 5, 6\) and \(4, 5, 6\)'):
        head()(pyramid(), pyramid()[1:])


def test_outputs_show_the_finest_stages():
    first, other = pyramid(), pyramid()
    out = head().eval()(first, other)
    assert out.feat_from is first[0]
    assert out.feat_to is other[0]


# both forms of the shipped model ---------------------------------------------


def narrow_model(config):
    """The shipped config with narrow encoders and head, no dropout."""
    cfg = Config.fromfile(CONFIGS / config)
    init_default_scope(cfg.default_scope)
    for name in ('backbone', 'backbone_to'):
        cfg.model[name].pop('init_cfg', None)
        cfg.model[name].update(NARROW)
    cfg.model.decode_head.update(
        in_channels=[8, 16, 40, 64], channels=8, dropout_ratio=0.)
    return MODELS.build(cfg.model)


def test_plain_config_differs_in_nothing_else():
    fast, plain = (
        Config.fromfile(CONFIGS / path).to_dict()
        for path in (STANDARD, PLAIN))
    assert plain['model']['decode_head'].pop('plain') is True
    assert 'plain' not in fast['model']['decode_head']
    assert fast == plain


def test_forms_agree():
    fast, plain = narrow_model(STANDARD), narrow_model(PLAIN)
    plain.load_state_dict(fast.state_dict(), strict=True)
    assert plain.decode_head.plain and plain.decode_head.diffs[0].plain
    results = []
    for model in (fast, plain):
        batch = model.data_preprocessor(make_batch((3, 3)), True)
        losses = model.train()(**batch, mode='loss')
        total(losses).backward()
        with torch.no_grad():
            logits = model.eval()(batch['inputs'], mode='tensor')
        results.append((losses, gradients(model), logits))
    for name, value in results[1][0].items():
        torch.testing.assert_close(results[0][0][name], value)
    for name, value in results[1][1].items():
        scale = value.abs().max().item()
        torch.testing.assert_close(
            results[0][1][name],
            value,
            rtol=0,
            atol=1e-3 * scale + 1e-6,
            msg=name)
    torch.testing.assert_close(
        results[0][2], results[1][2], rtol=1e-4, atol=1e-5)


def test_norms_after_the_activation_are_not_folded():
    """Fusing for prediction folds the one norm that may be."""
    model = narrow_model(STANDARD)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    image = torch.randn(1, 6, 64, 64)
    with torch.no_grad():
        expected = model.eval()(image, mode='tensor')
        fused = prepare_for_inference(model)
        torch.testing.assert_close(
            fused(image, mode='tensor'), expected, rtol=1e-4, atol=1e-4)
    norms = [m for m in fused.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 4 * 2 + 1


def test_light_model_takes_a_tenth():
    """Counted without computing, on tensors that hold nothing."""
    init_default_scope('opencd_gold')
    counts = []
    for path in (STANDARD, LIGHT):
        model = MODELS.build(Config.fromfile(CONFIGS / path).model).to('meta')
        counts.append(count_multiply_adds(model, (512, 512))['prediction'])
    standard, light = counts
    assert 2.4e11 < standard < 2.9e11
    assert light < 0.1 * standard


# alignment -------------------------------------------------------------------


def branch(first, other):
    empty = torch.zeros(len(first[0]), 1, 1, 1)
    return BranchOutputs(
        empty,
        empty,
        empty,
        empty,
        pyramid_from=tuple(first),
        pyramid_to=tuple(other))


def softmax(row):
    powers = [math.exp(value) for value in row]
    return [power / sum(powers) for power in powers]


def kl(target, source, temperature):
    p = softmax([value / temperature for value in target])
    q = softmax([value / temperature for value in source])
    return sum(a * math.log(a / b) for a, b in zip(p, q))


def by_hand(target, source, places, temperature=4.):
    """Both terms of samples (C, P) over the positions named for each."""
    channel, spatial = [], []
    for t, s, chosen in zip(target.tolist(), source.tolist(), places):
        for row_t, row_s in zip(t, s):
            if chosen:
                channel.append(
                    kl([row_t[i] for i in chosen], [row_s[i] for i in chosen],
                       temperature))
        spatial += [
            kl([row[i] for row in t], [row[i] for row in s], temperature)
            for i in chosen
        ]
    square = temperature**2
    return (square * sum(channel) / len(channel),
            square * sum(spatial) / len(spatial))


def test_alignment_is_the_mean_over_rows():
    target, source = 4 * torch.randn(2, 2, 3, 2, 2)
    expected = by_hand(target.flatten(2), source.flatten(2), [range(4)] * 2)
    found = alignment(target, source)
    assert found[0].item() == pytest.approx(expected[0], rel=1e-4)
    assert found[1].item() == pytest.approx(expected[1], rel=1e-4)


def test_alignment_of_unchanged_positions_alone():
    """A sample without any is in no mean."""
    target, source = 4 * torch.randn(2, 3, 3, 2, 2)
    label = torch.zeros(3, 4, 4, dtype=torch.int64)
    label[0, 0, 3] = 1  # position 1
    label[0, 2, 0] = 255  # position 2
    label[1] = 1
    expected = by_hand(target.flatten(2), source.flatten(2),
                       [[0, 3], [], [0, 1, 2, 3]])
    loss = FeatureAlignLoss(stages=(0, ))
    terms = loss(branch([target], [source]), label)
    assert terms['loss_align'].item() == pytest.approx(
        sum(expected), rel=1e-4)
    everywhere = FeatureAlignLoss(stages=(0, ), where='all')
    assert everywhere(branch([target], [source]),
                      label)['loss_align'] != terms['loss_align']


@pytest.mark.parametrize('where', ['all', 'unchanged'])
def test_alignment_of_student_and_teacher_counts_the_same(where):
    pyramids = 4 * torch.randn(2, 2, 3, 3, 2, 2)
    label = torch.zeros(3, 4, 4, dtype=torch.int64)
    label[0, 0, 3] = 1
    label[1] = 255
    student, teacher = (branch([a], [b]) for a, b in pyramids)
    alone = FeatureAlignLoss(stages=(0, ), where=where)
    terms = PyramidAlignLoss(stages=(0, ), where=where)(student, teacher,
                                                        label)
    for name, outputs in (('student', student), ('teacher', teacher)):
        torch.testing.assert_close(terms[f'align_{name}'],
                                   alone(outputs, label)['loss_align'])


@pytest.mark.parametrize('stages', [(-2, -1), (0, 7), (-3, )])
def test_stages_that_are_not_there_are_named(stages):
    outputs = branch([torch.randn(1, 3, 2, 2)], [torch.randn(1, 3, 2, 2)])
    text = re.escape(f'stages={stages}: the encoder gives 1 stages')
    for call in (lambda: FeatureAlignLoss(stages=stages)(outputs, None),
                 lambda: PyramidAlignLoss(stages=stages)(outputs, outputs,
                                                         None)):
        with pytest.raises(ValueError, match=text):
            call()


def test_unchanged_positions():
    label = torch.zeros(1, 6, 6, dtype=torch.int64)
    label[0, 5, 0] = 1
    label[0, 0, 2] = 255
    assert unchanged_positions(label, (3, 3))[0, 0].tolist() == [
        [True, False, True], [True, True, True], [False, True, True]
    ]


def test_changed_positions_get_no_gradient_of_the_alignment():
    first, other = torch.randn(2, 1, 3, 2, 2).requires_grad_().unbind()
    first.retain_grad()
    other.retain_grad()
    label = torch.zeros(1, 4, 4, dtype=torch.int64)
    label[:, :2, :2] = 1
    loss = FeatureAlignLoss(stages=(0, ))
    loss(branch([first], [other]), label)['loss_align'].backward()
    for feature in (first, other):
        assert (feature.grad[..., 0, 0] == 0).all()
        assert (feature.grad[..., 1, :] != 0).all()


def test_alignment_where_everything_changed_is_zero():
    first, other = torch.randn(2, 1, 3, 2, 2)
    other.requires_grad_()
    label = torch.ones(1, 4, 4, dtype=torch.int64)
    value = FeatureAlignLoss(stages=(0, ))(branch([first], [other]),
                                           label)['loss_align']
    value.backward()
    assert value.item() == 0
    assert (other.grad == 0).all()


@pytest.mark.parametrize('detach', [False, True])
def test_gradient_to_the_first_date(detach):
    first, other = torch.randn(1, 3, 2, 2), torch.randn(1, 3, 2, 2)
    first.requires_grad_()
    other.requires_grad_()
    loss = FeatureAlignLoss(stages=(0, ), where='all', detach_target=detach)
    loss(branch([first], [other]), None)['loss_align'].backward()
    assert (first.grad is None) == detach
    assert other.grad.abs().max() > 0


def test_weight_falls_with_the_epochs():
    hub = MessageHub.get_instance('alignment')
    loss = FeatureAlignLoss(
        stages=(0, ),
        where='all',
        loss_weight=2.,
        schedule=dict(kind='inverse', epochs=1))
    outputs = branch([torch.randn(1, 3, 2, 2)], [torch.randn(1, 3, 2, 2)])
    for epoch in (0, 1, 9):
        hub.update_info_dict(
            dict(iter=epoch, max_iters=100, iters_per_epoch=1))
        terms = loss(outputs, None)
        assert terms['weight/align'].item() == pytest.approx(2 / (epoch + 1))
        assert terms['loss_align'].item() == pytest.approx(
            2 / (epoch + 1) * terms['term/align'].item())


def test_alignment_of_bfloat16_is_computed_in_float32():
    pair = [torch.randn(1, 3, 2, 2).bfloat16() for _ in range(2)]
    loss = FeatureAlignLoss(stages=(0, ), where='all')
    found = loss(branch([pair[0]], [pair[1]]), None)['loss_align']
    expected = loss(
        branch([pair[0].float()], [pair[1].float()]), None)['loss_align']
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_kl_over_channels():
    first, other = torch.randn(2, 2, 3, 2, 2)
    rows = [
        kl(s, t, 1.) for s, t in zip(
            other.flatten(2).transpose(1, 2).flatten(0, 1).tolist(),
            first.flatten(2).transpose(1, 2).flatten(0, 1).tolist())
    ]
    outputs = branch([first], [other])
    for reduction, count in (('mean', 8), ('batchmean', 2)):
        loss = FeatureKLLoss(stages=(0, ), reduction=reduction)
        assert loss(outputs, None)['loss_kl'].item() == pytest.approx(
            sum(rows) / count, rel=1e-4)


def test_consistency_counts_samples_by_what_did_not_change():
    first = torch.zeros(2, 1, 2, 2)
    other = torch.tensor([[[[1., 2.], [3., 6.]]], [[[5., 5.], [5., 5.]]]])
    label = torch.zeros(2, 2, 2, dtype=torch.int64)
    label[0, 0, 0] = 1
    label[1, :, 0] = 1
    outputs = branch([first], [other])
    # maximum and mean: (6, 3) and (5, 5), shares 3/4 and 1/2
    expected = (0.75**2 * (36 + 9) + 0.5**2 * 50) / 4
    loss = FeatureConsistencyLoss(stages=(0, ))
    assert loss(outputs, label)['loss_consistency'].item() == pytest.approx(
        expected)
    label[1, 0, 0] = 0
    loss = FeatureConsistencyLoss(stages=(0, ), by='corner')
    assert loss(outputs, label)['loss_consistency'].item() == pytest.approx(
        (36 + 9) / 4)


@pytest.mark.parametrize('build, word', [
    (lambda: FeatureAlignLoss(where='changed'), 'changed'),
    (lambda: PyramidAlignLoss(where='changed'), 'changed'),
    (lambda: FeatureKLLoss(reduction='sum'), 'sum'),
    (lambda: FeatureConsistencyLoss(by='label'), 'label'),
    (lambda: FeatureAlignLoss(schedule=dict(kind='sudden', epochs=1)),
     'sudden'),
])
def test_wrong_words_are_named(build, word):
    with pytest.raises(ValueError, match=f'got .*{word}'):
        build()


# losses on features in the detectors -----------------------------------------


def test_detector_adds_losses_on_features():
    model = narrow_model(STANDARD).eval()
    batch = model.data_preprocessor(make_batch((3, 3)), True)
    for sample in batch['data_samples']:
        sample.gt_sem_seg.data.zero_()
    with torch.no_grad():
        losses = model(**batch, mode='loss')
        model.feature_losses = nn.ModuleList()
        without = model(**batch, mode='loss')
    assert set(losses) - set(without) == {
        'loss_align', 'term/align', 'weight/align'
    }
    assert losses['loss_align'] > 0


def test_losses_on_features_with_one_name_are_refused():
    """Else one of them would be minimised alone."""
    model = narrow_model(STANDARD).eval()
    batch = model.data_preprocessor(make_batch((3, 3)), True)
    model.feature_losses.append(FeatureAlignLoss())
    with pytest.raises(ValueError, match='loss_align, term/align.*name='):
        model(**batch, mode='loss')
    model.feature_losses[1].name = 'second'
    assert {'loss_align', 'loss_second'} <= set(model(**batch, mode='loss'))


def test_head_names_stages_of_other_widths():
    head = SpatioTemporalDifferenceHead(in_channels=[3, 4], channels=8)
    first, second = torch.randn(1, 3, 8, 8), torch.randn(1, 5, 4, 4)
    with pytest.raises(ValueError, match=re.escape(
            'in_channels=(3, 4) of each date, got (3, 5) and (3,)')):
        head([first, second], [first])


def test_triple_branch_refuses_losses_on_a_branch_alone():
    cfg = Config.fromfile(
        CONFIGS / 'gold/gold_mit-b0_1xb8-1500_ombria-256x256.py')
    init_default_scope(cfg.default_scope)
    cfg.model.feature_losses = [dict(type='FeatureAlignLoss')]
    with pytest.raises(ValueError, match='use distill_losses'):
        MODELS.build(cfg.model)


def test_published_variant_of_gold_predicts_alike():
    """The student alone, from a training checkpoint."""
    cfg = Config.fromfile(
        CONFIGS / 'gold/gold_mit-b0_1xb8-1500_ombria-256x256.py')
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).eval()
    published = publish(dict(state_dict=model.state_dict()), cfg)
    plain = MODELS.build(plain_model_config(cfg.model)).eval()
    plain.load_state_dict(published['state_dict'], strict=True)
    assert type(plain) is BitemporalDetector
    image = torch.randn(1, 4, 64, 64)
    with torch.no_grad():
        assert torch.equal(
            plain(image, mode='tensor'), model(image, mode='tensor'))


def test_converter_makes_kernels_and_drops_dead_keys():
    state, dead = RULES['hetecd'].convert({
        'module.backbone2.block4.0.mlp.fc2.weight': torch.ones(2, 4),
        'module.vae1.initial_bn.weight': torch.ones(1)
    })
    assert {name: value.shape for name, value in state.items()} == {
        'backbone_to.layers.3.1.0.ffn.layers.4.weight': (2, 4, 1, 1)
    }
    assert dead == ['vae1.initial_bn.weight']


# MiT -------------------------------------------------------------------------


def tiny_mit(**kwargs):
    return MixTransformer(
        embed_dims=8,
        num_layers=[1] * 4,
        num_heads=[1, 2, 5, 8],
        sr_ratios=[8, 4, 2, 1],
        **kwargs)


def pretrained(path, **kwargs):
    cfg = dict(type='Pretrained', checkpoint=str(path), **kwargs)
    return dict(init_cfg=cfg)


def test_epsilon_of_the_norms():
    model = tiny_mit()
    found = {
        name: module.eps
        for name, module in model.named_modules()
        if isinstance(module, nn.LayerNorm)
    }
    assert len(found) == 4 + 4 * 2 + 3 + 4
    for name, eps in found.items():
        inner = name.endswith(('0.norm', 'attn.norm'))
        assert eps == (1e-5 if inner else 1e-6), name


def test_attention_starts_as_other_linear_layers():
    model = tiny_mit()
    model.init_weights()
    weight = model.layers[3][1][0].attn.attn.in_proj_weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_pretrained_weights_of_both_encoders(tmp_path):
    source = tiny_mit()
    path = tmp_path / 'mit.pth'
    state = dict(source.state_dict(), **{'head.weight': torch.zeros(2, 2)})
    torch.save(dict(state_dict=state), path)
    cfg = Config.fromfile(CONFIGS / STANDARD)
    init_default_scope(cfg.default_scope)
    for name in ('backbone', 'backbone_to'):
        cfg.model[name].update(**NARROW, **pretrained(path))
    cfg.model.decode_head.update(in_channels=[8, 16, 40, 64], channels=8)
    model = MODELS.build(cfg.model)
    model.init_weights()
    for encoder in (model.backbone, model.backbone_to):
        own = encoder.state_dict()
        assert len(own) > 50
        for name, value in own.items():
            assert torch.equal(value, source.state_dict()[name]), name
    assert model.backbone.layers is not model.backbone_to.layers


def test_pretrained_kernels_for_other_bands(tmp_path):
    source = tiny_mit()
    path = tmp_path / 'mit.pth'
    torch.save(
        {f'module.backbone.{k}': v for k, v in source.state_dict().items()},
        path)
    model = tiny_mit(
        in_channels=1, **pretrained(path, prefix='module.backbone'))
    model.init_weights()
    image = torch.randn(1, 1, 32, 32)
    embed, other = (m.layers[0][0].projection for m in (model, source))
    torch.testing.assert_close(
        embed(image), other(image.expand(-1, 3, -1, -1)))


def test_pretrained_file_that_does_not_match(tmp_path):
    path = tmp_path / 'mit.pth'
    state = tiny_mit().state_dict()
    torch.save({f'backbone.{k}': v for k, v in state.items()}, path)
    with pytest.raises(ValueError, match=r'mit.pth.*missing.*backbone\.lay'):
        tiny_mit(**pretrained(path)).init_weights()
    tiny_mit(**pretrained(path, prefix='backbone')).init_weights()
    name, value = list(state.items())[-1]
    torch.save({**state, name: value[:-1]}, path)
    with pytest.raises(ValueError, match=f': 1 of .*{name}'):
        tiny_mit(**pretrained(path)).init_weights()


def test_frozen_stages():
    model = tiny_mit(frozen_stages=2, drop_rate=0.5).train()
    for index, stage in enumerate(model.layers):
        trains = index >= 2
        assert all(p.requires_grad == trains for p in stage.parameters())
        assert all(m.training == trains for m in stage.modules())
