"""Detectors and their data preprocessor, on small networks."""
import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from models.contract import make_batch, total

from opencd_gold.models import ChangeDataPreProcessor, ChangeTTAModel
from opencd_gold.registry import MODELS

NORM = dict(type='BN')
RESNET = dict(
    type='mmseg.ResNetV1c',
    depth=18,
    stem_channels=16,
    base_channels=8,
    norm_cfg=NORM,
    contract_dilation=False,
    strides=(1, 2, 2, 2),
    dilations=(1, 1, 1, 1))
NECK = dict(
    type='MultiScaleFusion',
    in_channels=[8, 16, 32, 64],
    channels=16,
    norm_cfg=NORM)
HEAD = dict(type='AttentionTransferHead', in_channels=16, norm_cfg=NORM)
CHANNELS = (3, 1, 3)


def shared(**kwargs):
    """Config of two optical dates that share an encoder."""
    return dict(
        dict(
            type='BitemporalDetector',
            data_preprocessor=dict(
                type='ChangeDataPreProcessor', channels=(3, 3)),
            backbone=RESNET,
            neck=NECK,
            decode_head=HEAD), **kwargs)


def triple(**kwargs):
    """Config of GOLD in small."""
    return dict(
        dict(
            type='TripleBranchDetector',
            data_preprocessor=dict(
                type='ChangeDataPreProcessor', channels=CHANNELS),
            backbone=RESNET,
            backbone_to=dict(RESNET, in_channels=1),
            neck=NECK,
            neck_to=NECK,
            interaction=dict(type='ChannelInteraction', channels=16),
            decode_head=HEAD,
            teacher_head=HEAD,
            distill_losses=[dict(type='LogitDistillLoss')],
            loss_weighting=dict(
                type='FixedWeighting',
                groups=dict(
                    cd=dict(student=1., teacher=1.),
                    distill=dict(output=1.)))), **kwargs)


def privileged(**kwargs):
    return triple(
        teacher_inputs='from+to+guide',
        teacher_head=dict(HEAD, num_inputs=3),
        **kwargs)


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('opencd_gold')
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def build(cfg):
    return MODELS.build(copy.deepcopy(cfg))


def images(channels, size=(64, 64), count=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, sum(channels), *size, generator=generator)


def samples(size=(64, 64), count=2):
    return make_batch(CHANNELS, size, count)['data_samples']


@torch.no_grad()
def scores(model, inputs):
    """Logits of a prediction at the size of the input."""
    return torch.stack(
        [sample.seg_logits.data for sample in model.eval().predict(inputs)])


# encoders -----------------------------------------------------------------


def test_shared_encoder_runs_one_batch_that_equals_two_calls():
    model = build(shared()).eval()
    calls = []
    model.backbone.register_forward_pre_hook(
        lambda _, args: calls.append(args[0].shape[0]))
    date_from, date_to = images((3, 3)).split(3, dim=1)
    with torch.no_grad():
        pyramids = model.encode_pair(date_from, date_to)
        assert calls == [4]
        for date, pyramid in zip((date_from, date_to), pyramids):
            stages = model.backbone(date)
            assert len(pyramid) == len(stages) == 4
            for found, expected in zip(pyramid, stages):
                torch.testing.assert_close(found, expected)


def test_dates_one_by_one_give_the_same():
    model = build(shared())
    plain = build(shared(batch_dates=False))
    plain.load_state_dict(model.state_dict())
    inputs = images((3, 3))
    torch.testing.assert_close(scores(plain, inputs), scores(model, inputs))


def test_two_encoders_see_their_own_date():
    model = build(
        shared(
            data_preprocessor=dict(
                type='ChangeDataPreProcessor', channels=(3, 1)),
            backbone_to=dict(RESNET, in_channels=1),
            neck_to=NECK)).eval()
    date_from, date_to = images((3, 1)).split((3, 1), dim=1)
    with torch.no_grad():
        found = model.encode_pair(date_from, date_to)
        expected = model.backbone(date_from), model.backbone_to(date_to)
    for one, other in zip(found, expected):
        for stage, expected_stage in zip(one, other):
            assert torch.equal(stage, expected_stage)


def test_outputs_show_the_features_before_the_interaction():
    model = build(triple()).eval()
    with torch.no_grad():
        outputs = model.forward_branch(images(CHANNELS))
        expected = model.neck(outputs.pyramid_from)
        assert torch.equal(outputs.feat_from, expected)
        first, _ = model.interaction(outputs.feat_from, outputs.feat_to)
    assert not torch.equal(outputs.extras['concat'][:, :16], expected)
    assert torch.equal(outputs.extras['concat'][:, :16], first)


def test_channels_last_changes_the_layout_alone():
    model = build(triple())
    last = build(triple(channels_last=True))
    last.load_state_dict(model.state_dict())
    weight = last.teacher_head.fusion.conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    inputs = images(CHANNELS)
    assert last.split(inputs).img_guide.is_contiguous(
        memory_format=torch.channels_last)
    torch.testing.assert_close(
        scores(last, inputs), scores(model, inputs), rtol=1e-4, atol=1e-4)


# inference ----------------------------------------------------------------


def slide(crop, stride, **kwargs):
    return dict(mode='slide', crop_size=(crop, crop), stride=(stride, stride),
                **kwargs)


def test_one_window_equals_the_whole_image():
    model = build(triple())
    inputs = images(CHANNELS)
    whole = scores(model, inputs)
    model.test_cfg.update(slide(64, 64))
    torch.testing.assert_close(scores(model, inputs), whole)


def test_windows_are_averaged():
    """Two windows of 64 on 96 columns: the middle third is in both."""
    model = build(triple())
    inputs = images(CHANNELS, size=(64, 96))
    left, right = (scores(model, inputs[..., x:x + 64]) for x in (0, 32))
    model.test_cfg.update(slide(64, 32))
    found = scores(model, inputs)
    middle = (left[..., 32:] + right[..., :32]) / 2
    torch.testing.assert_close(
        found, torch.cat([left[..., :32], middle, right[..., 32:]], -1))


@pytest.mark.parametrize('cfg', [triple, privileged])
def test_teacher_is_evaluated_beside_the_student(cfg):
    model = build(cfg(test_cfg=dict(evaluate_teacher=True))).eval()
    inputs = images(CHANNELS)
    with torch.no_grad():
        found = model.predict(inputs, samples())
        student, teacher = model.forward_branches(inputs)
    for name, outputs in (('', student), ('teacher_', teacher)):
        expected = model.decode_head.upsample(outputs.logits, (64, 64))
        for index, sample in enumerate(found):
            logits = sample.get(f'{name}seg_logits').data
            torch.testing.assert_close(logits, expected[index])
            assert torch.equal(
                sample.get(f'{name}pred_sem_seg').data[0], logits.argmax(0))


@pytest.mark.parametrize('channels', [(1, 1), (1, 2), (2, 1), (2, 2)])
@pytest.mark.parametrize('flips', [False, True])
def test_each_branch_has_its_channels_and_its_threshold(channels, flips):
    """Of student and teacher, with and without flips."""
    thresholds, names = (0.4, 0.6), ('', 'teacher_')
    heads = [
        dict(HEAD, out_channels=count, threshold=threshold)
        for count, threshold in zip(channels, thresholds)
    ]
    model = build(
        triple(
            decode_head=heads[0],
            teacher_head=heads[1],
            copy_classifier=False,
            test_cfg=dict(evaluate_teacher=True))).eval()
    for head in (model.decode_head, model.teacher_head):
        head.conv_seg.weight.data.mul_(20)  # reach both thresholds
    data = make_batch(CHANNELS)
    with torch.no_grad():
        if flips:
            found = ChangeTTAModel(module=model).test_step(
                {key: [value] for key, value in data.items()})
        else:
            found = model.test_step(data)
    for name, count, threshold in zip(names, channels, thresholds):
        for sample in found:
            scores = sample.get(f'{name}seg_logits').data
            assert scores.shape == (count, 64, 64)
            change = scores[0] if count == 1 else scores.softmax(0)[1]
            assert ((change > 0.4) & (change < 0.6)).any()
            assert torch.equal(
                sample.get(f'{name}pred_sem_seg').data[0].bool(),
                change > threshold)
    assert model.decode_head.threshold == 0.4
    assert model.out_channels == channels[0]


@pytest.mark.parametrize('channels', [(1, 2), (2, 1)])
def test_branches_of_unlike_channels_train(channels):
    heads = [dict(HEAD, out_channels=count) for count in channels]
    model = build(triple(decode_head=heads[0], teacher_head=heads[1]))
    losses = model.train().loss(images(CHANNELS), samples())
    assert losses['term/output'] > 0
    assert torch.isfinite(total(losses))


def test_teacher_is_not_evaluated_unasked():
    model = build(triple()).eval()
    with torch.no_grad():
        sample = model.predict(images(CHANNELS), samples())[0]
    assert 'teacher_pred_sem_seg' not in sample


def test_evaluating_the_teacher_keeps_sliding():
    inputs, size = images(CHANNELS, size=(64, 96)), (64, 96)
    model = build(triple(test_cfg=slide(64, 32))).eval()
    student, teacher = [], []
    with torch.no_grad():
        for x in (0, 32):
            outputs = model.forward_branches(inputs[..., x:x + 64])
            for branch, windows in zip(outputs, (student, teacher)):
                windows.append(
                    model.decode_head.upsample(branch.logits, (64, 64)))
        model.test_cfg.evaluate_teacher = True
        found = model.predict(inputs, samples(size))
    for name, (left, right) in (('', student), ('teacher_', teacher)):
        expected = torch.cat([
            left[..., :32], (left[..., 32:] + right[..., :32]) / 2,
            right[..., 32:]
        ], -1)
        for index, sample in enumerate(found):
            logits = sample.get(f'{name}seg_logits').data
            torch.testing.assert_close(logits, expected[index])


def test_bfloat16_inference_gives_float32_scores():
    model = build(triple(test_cfg=dict(precision='bfloat16')))
    inputs = images(CHANNELS)
    rough = scores(model, inputs)
    model.test_cfg.precision = 'float32'
    exact = scores(model, inputs)
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, rtol=0.1, atol=0.05)


# the teacher --------------------------------------------------------------


def test_training_without_the_guide_is_an_error():
    model = build(triple())
    with pytest.raises(ValueError) as error:
        model.loss(images(CHANNELS[:2]), samples())
    assert 'have 4 channels, expected 7' in str(error.value)
    assert 'img_path_guide' in str(error.value)


def test_guide_goes_through_the_encoder_of_the_first_date():
    model = build(triple()).eval()
    first, second, _ = images(CHANNELS).split(CHANNELS, dim=1)
    with torch.no_grad():
        _, teacher = model.forward_branches(
            torch.cat([first, second, first], dim=1))
    assert torch.equal(teacher.feat_from, teacher.feat_to)


@pytest.mark.parametrize('cfg, sees', [(triple, False), (privileged, True)])
def test_what_the_teacher_sees(cfg, sees):
    """The optical pair as published; SAR as well where it is privileged."""
    model = build(cfg()).eval()
    inputs = images(CHANNELS)
    other = inputs.clone()
    other[:, 3] = images((1, )).flip(0)[:, 0]
    with torch.no_grad():
        expected = model.forward_branches(inputs)[1].logits
        found = model.forward_branches(other)[1].logits
    assert torch.equal(found, expected) != sees


def reached(model, output):
    """Which parts the gradient of ``output`` reaches."""
    parts = dict(model.named_children())
    model.zero_grad()
    output.backward()
    return {
        name
        for name, part in parts.items()
        if any(p.grad is not None and p.grad.abs().max() > 0
               for p in part.parameters())
    }


@pytest.mark.parametrize('cut', [True, False])
def test_detach_from(cut):
    """Whether the teacher's loss reaches the encoding of the first date.

    With the guide itself cut away, nothing else leads to the encoder.
    """
    model = build(triple(detach_from=cut))
    pyramids = model.encode_shared([images((3, )), images((3, ))])
    feat_from, feat_guide = (model.neck(p) for p in pyramids)
    feat_to = torch.zeros_like(feat_from)
    teacher = model.teach(feat_from, feat_to, feat_guide.detach(), *pyramids)
    parts = reached(model, teacher.logits.sum())
    assert {'teacher_head', 'interaction'} <= parts
    assert ({'backbone', 'neck'} <= parts) != cut
    assert ('backbone' in parts) != cut


@pytest.mark.parametrize('cut', [True, False])
def test_detach_to(cut):
    """Whether the loss of a privileged teacher reaches the SAR encoder."""
    model = build(privileged(detach_to=cut))
    teacher = model.forward_branches(images(CHANNELS))[1]
    parts = reached(model, teacher.logits.sum())
    assert {'backbone', 'neck', 'teacher_head'} <= parts
    assert 'decode_head' not in parts
    assert ('backbone_to' in parts) == ('neck_to' in parts) == (not cut)


@pytest.mark.parametrize('shared', [True, False])
def test_teacher_interaction(shared):
    model = build(privileged(teacher_interaction=shared))
    teacher = model.forward_branches(images(CHANNELS))[1]
    parts = reached(model, teacher.logits.sum())
    assert 'teacher_head' in parts
    assert ('interaction' in parts) == shared


@pytest.mark.parametrize('copied', [True, False])
def test_copy_classifier(copied):
    model = build(triple(copy_classifier=copied))
    for _ in range(2):
        for name in ('cls', 'conv_seg'):
            source = getattr(model.decode_head, name).state_dict()
            target = getattr(model.teacher_head, name).state_dict()
            assert torch.equal(source['0.weight' if name == 'cls' else
                                      'weight'],
                               target['0.weight' if name == 'cls' else
                                      'weight']) == copied
        torch.nn.init.zeros_(model.teacher_head.cls[0].weight)
        model.init_weights()
    assert not torch.equal(model.decode_head.fusion.conv.weight,
                           model.teacher_head.fusion.conv.weight)


def test_classifier_of_another_shape_is_not_copied():
    """A privileged teacher's differs in its input."""
    model = build(privileged())
    wide = model.teacher_head.fusion.conv.weight
    assert wide.shape[1] == model.decode_head.fusion.conv.weight.shape[1] + 16
    assert torch.equal(model.teacher_head.conv_seg.weight,
                       model.decode_head.conv_seg.weight)
    model = build(triple(teacher_head=dict(HEAD, out_channels=1)))
    assert model.teacher_head.conv_seg.weight.shape[0] == 1


def test_weighted_terms_add_up():
    model = build(triple())
    torch.manual_seed(3)
    losses = model.train().loss(images(CHANNELS), samples())
    terms = [value for name, value in losses.items() if 'term/' in name]
    assert len(terms) == 3
    torch.testing.assert_close(total(losses), sum(terms))


# constructor --------------------------------------------------------------


@pytest.mark.parametrize('cfg, words', [
    (shared(data_preprocessor=dict(
        type='ChangeDataPreProcessor', channels=(3, ))), ['(3,)', '(3, 1)']),
    (shared(data_preprocessor=dict(type='mmseg.SegDataPreProcessor')),
     ['bands of each image', '()']),
    (shared(neck_to=NECK), ['neck_to', 'backbone_to']),
    (shared(backbone_to=RESNET), ['neck_to', 'backbone_to']),
    (shared(test_cfg=dict(precision='float16')),
     ['precision', "'float16'", "'bfloat16'"]),
    (triple(backbone_to=None, neck_to=None), ['backbone_to']),
    (triple(data_preprocessor=dict(
        type='ChangeDataPreProcessor', channels=(3, 1))),
     ['(n, m, n)', '(3, 1)']),
    (triple(data_preprocessor=dict(
        type='ChangeDataPreProcessor', channels=(3, 1, 4))),
     ['(n, m, n)', '(3, 1, 4)']),
    (triple(teacher_inputs='guide'),
     ["'guide'", "'from+guide'", "'from+to+guide'"]),
    (triple(distill_losses=[dict(type='FeatureDistillLoss')]),
     ["without a weight: ['feature']", "without a term: ['output']"]),
    (triple(distill_losses=[dict(type='LogitDistillLoss')] * 2),
     ["made twice: ['output']"]),
])
def test_constructor_says_what_is_wrong(cfg, words):
    with pytest.raises(ValueError) as error:
        build(cfg)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize('cfg', [shared, triple])
def test_mistyped_argument(cfg):
    with pytest.raises(TypeError, match='interacton'):
        build(cfg(interacton=None))


def test_head_of_the_teacher_must_take_what_it_sees():
    model = build(triple(teacher_inputs='from+to+guide'))
    with pytest.raises(ValueError, match='num_inputs=2, got 3'):
        model.forward_branches(images(CHANNELS))


def test_inputs_of_other_bands():
    model = build(triple())
    with pytest.raises(ValueError) as error:
        model(images((3, 3)), mode='tensor')
    for word in ('6 channels', '(3, 1, 3)', '7 = 3 + 1 + 3', '4 without'):
        assert word in str(error.value)


# data preprocessor --------------------------------------------------------


def preprocessor(**kwargs):
    return ChangeDataPreProcessor(
        **dict(
            dict(
                channels=CHANNELS,
                mean=[[10., 20., 30.], 40., 50.],
                std=[[1., 2., 4.], 5., 8.]), **kwargs))


def test_each_image_has_its_own_statistics():
    data = make_batch(CHANNELS)
    mean = [10., 20., 30., 40., 50., 50., 50.]
    std = [1., 2., 4., 5., 8., 8., 8.]
    found = preprocessor()(data)['inputs']
    assert found.shape == (2, 7, 64, 64)
    assert found.dtype == torch.float32
    for band in range(7):
        for index, image in enumerate(data['inputs']):
            torch.testing.assert_close(
                found[index, band],
                (image[band].float() - mean[band]) / std[band])


def test_guide_may_be_absent():
    full = preprocessor()(make_batch(CHANNELS))['inputs']
    data = make_batch(CHANNELS)
    data['inputs'] = [image[:4] for image in data['inputs']]
    assert torch.equal(preprocessor()(data)['inputs'], full[:, :4])


def test_without_statistics_the_values_stay():
    data = make_batch(CHANNELS)
    found = preprocessor(mean=None, std=None)(data)['inputs']
    assert torch.equal(found, torch.stack(data['inputs']).float())


def test_colours_are_reversed_in_optical_images():
    data = make_batch(CHANNELS)
    found = preprocessor(mean=None, std=None, bgr_to_rgb=True)(data)['inputs']
    order = [2, 1, 0, 3, 6, 5, 4]
    assert torch.equal(found, torch.stack(data['inputs']).float()[:, order])


@pytest.mark.parametrize('limits, padded', [
    (dict(size=(80, 96)), (80, 96)),
    (dict(size_divisor=32), (64, 96)),
])
def test_training_batch_is_padded(limits, padded):
    data = make_batch(CHANNELS, size=(60, 70))
    expected = preprocessor()(make_batch(CHANNELS, size=(60, 70)))['inputs']
    found = preprocessor(**limits)(data, training=True)
    assert found['inputs'].shape == (2, 7, *padded)
    assert torch.equal(found['inputs'][..., :60, :70], expected)
    assert (found['inputs'][..., 60:, :] == 0).all()
    assert (found['inputs'][..., 70:] == 0).all()
    for sample in found['data_samples']:
        label = sample.gt_sem_seg.data
        assert label.shape == (1, *padded)
        assert (label[:, 60:] == 255).all()
        assert (label[..., 70:] == 255).all()
        assert (label[:, 8:60, :70] != 255).all()


def test_test_batch_is_padded_on_demand_without_its_labels():
    found = preprocessor(test_cfg=dict(size_divisor=32))(
        make_batch(CHANNELS, size=(60, 70)))
    assert found['inputs'].shape == (2, 7, 64, 96)
    for sample in found['data_samples']:
        assert sample.gt_sem_seg.data.shape == (1, 60, 70)
        assert sample.pad_shape == (64, 96)
        left, right, top, bottom = sample.metainfo.get(
            'img_padding_size', sample.metainfo.get('padding_size'))
        assert (left, right, top, bottom) == (0, 26, 0, 4)


def test_wrong_bands_name_the_file():
    data = make_batch(CHANNELS)
    data['inputs'][1] = torch.zeros(6, 64, 64)
    with pytest.raises(ValueError) as error:
        preprocessor()(data)
    for word in ('A/1.png', '6 bands', '(3, 1, 3)', '4 or 7'):
        assert word in str(error.value)


def test_sizes_that_differ_name_the_files():
    data = make_batch(CHANNELS)
    data['inputs'][1] = torch.zeros(7, 64, 32)
    with pytest.raises(ValueError) as error:
        preprocessor()(data)
    for word in ('(7, 64, 32)', '(7, 64, 64)', 'A/1.png'):
        assert word in str(error.value)


@pytest.mark.parametrize('wrong, words', [
    (dict(std=None), ['mean and std']),
    (dict(mean=[1., 2.]), ['mean has 2 entries', '3 images']),
    (dict(std=[1., [1., 2.], 1.]), ['std[1]', '2 values', '1']),
    (dict(std=[[1., 2.], 1., 1.]), ['std[0]', '2 values', '1 or 3']),
])
def test_statistics_must_fit_the_channels(wrong, words):
    with pytest.raises(ValueError) as error:
        preprocessor(**wrong)
    for word in words:
        assert word in str(error.value)
