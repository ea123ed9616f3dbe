"""One sigmoid output and two classes, through all that deals with a model.

On SGSLN and HRMNet, whose authors have one output. Metric, visualiser and
tools run with them in tests/configs.
"""
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from models.contract import make_batch, total
from models.forms import CONFIGS, read
from parity import rule
from running import run_tool

from opencd_gold.apis import init_model, publish
from opencd_gold.apis.fusion import prepare_for_inference
from opencd_gold.evaluation import ChangeMetric
from opencd_gold.models import ChangeTTAModel
from opencd_gold.registry import MODELS
from opencd_gold.structures import class_map

PATHS = dict(
    sgsln='sgsln/sgsln_1xb16-500e_levir-cd-256x256.py',
    hrmnet='hrmnet/hrmnet_r18d_1xb16-20k_levir-cd-plus-512x512.py')
systems = pytest.mark.parametrize('system', PATHS)
outputs = pytest.mark.parametrize('channels', [1, 2])


def config(system, channels=1, threshold=None):
    """A narrow model of a system."""
    model = read(PATHS[system])
    narrow = dict(
        sgsln=dict(backbone=8, widths=[16, 32, 64, 128]),
        hrmnet=dict(backbone=8, widths=[8, 16, 32, 64]))[system]
    model.backbone.base_channels = narrow['backbone']
    model.neck.in_channels = narrow['widths']
    if system == 'sgsln':
        model.decode_head.in_channels = narrow['widths']
    model.decode_head.update(out_channels=channels, threshold=threshold)
    return model


def build(model):
    init_default_scope('opencd_gold')
    torch.manual_seed(0)
    model = MODELS.build(model)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.1)
    return model.eval()


def predict(model):
    with torch.no_grad():
        return model.test_step(make_batch((3, 3), ignored=0))


def score(samples):
    metric = ChangeMetric(car_ranges=())
    metric.dataset_meta = dict(classes=('unchanged', 'changed'))
    metric.process({}, [sample.to_dict() for sample in samples])
    return metric.evaluate(len(samples))


@systems
@outputs
def test_a_lower_threshold_finds_more(system, channels):
    recalls = []
    for threshold in (0.999, 0.5, 0.001):
        model = build(config(system, channels, threshold))
        recalls.append(score(predict(model))['Recall'])
    assert recalls[0] <= recalls[1] <= recalls[2]
    assert recalls[0] < recalls[2] == 100


@outputs
def test_class_map(channels):
    """Change of probability 0.3, 0.5 and 0.7."""
    p = torch.tensor([0.3, 0.5, 0.7]).view(1, 1, 1, 3)
    scores = p if channels == 1 else torch.cat([1 - p, p], 1).log()
    for threshold, expected in ((0.2, [1, 1, 1]), (0.4, [0, 1, 1]),
                                (0.6, [0, 0, 1])):
        found = class_map(scores, threshold)
        assert found.shape == (1, 1, 1, 3)
        assert found.flatten().tolist() == expected
    if channels == 2:
        assert class_map(scores).flatten().tolist() == [0, 0, 1]


def test_three_classes_have_no_threshold():
    model = config('sgsln', 3, 0.4)
    model.decode_head.num_classes = 3
    with pytest.raises(ValueError, match='got 0.4 for 3 channels'):
        build(model)


def test_threshold_is_a_probability():
    with pytest.raises(ValueError, match='from 0 to 1.*got 40'):
        build(config('hrmnet', threshold=40))


@systems
@outputs
def test_augmented_testing(system, channels):
    detector = build(config(system, channels))
    batches = [make_batch((3, 3), ignored=0) for _ in range(2)]
    batches[1]['inputs'] = [image.flip(-1) for image in batches[1]['inputs']]
    for sample in batches[1]['data_samples']:
        sample.set_metainfo(dict(flip=True, flip_direction='horizontal'))
    data = {key: [batch[key] for batch in batches] for key in batches[0]}
    with torch.no_grad():
        merged = ChangeTTAModel(module=detector).test_step(data)
    expected = []
    for index in range(2):
        samples = detector.test_step(
            {key: value[index] for key, value in data.items()})
        scores = torch.stack([s.seg_logits.data for s in samples])
        scores = scores if channels == 1 else scores.softmax(1)
        expected.append(scores.flip(-1) if index else scores)
    for sample, mean in zip(merged, sum(expected) / 2):
        scores = sample.seg_logits.data
        torch.testing.assert_close(
            scores if channels == 1 else scores.softmax(0), mean,
            rtol=1e-4, atol=1e-5)
        decided = mean[0] > 0.5 if channels == 1 else mean.argmax(0)
        wrong = sample.pred_sem_seg.data[0].bool() != decided.bool()
        assert wrong.float().mean() < 1e-3


@systems
def test_published_checkpoint_predicts_alike(system):
    model = config(system, threshold=0.4)
    cfg = Config(dict(default_scope='opencd_gold', model=model))
    trained = build(model)
    stored = publish(dict(state_dict=trained.state_dict()), cfg)
    again = build(Config.fromstring(stored['meta']['cfg'], '.py').model)
    again.load_state_dict(stored['state_dict'], strict=True)
    assert again.decode_head.threshold == 0.4
    for one, other in zip(predict(trained), predict(again)):
        assert torch.equal(one.pred_sem_seg.data, other.pred_sem_seg.data)


@systems
@outputs
@pytest.mark.parametrize('channels_last', [True, False])
def test_fused_form_predicts_alike(system, channels, channels_last):
    model = config(system, channels)
    model.channels_last = channels_last
    plain = build(model)
    fused = init_model(
        Config(dict(default_scope='opencd_gold', model=model)))
    fused.load_state_dict(plain.state_dict())
    fused = prepare_for_inference(fused)
    x = torch.randn(1, 6, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            fused(x, mode='tensor'), plain(x, mode='tensor'),
            rtol=1e-3, atol=1e-4)


@systems
@outputs
def test_student_and_teachers(system, channels):
    """Teachers of the other system; the same number of outputs."""
    other = next(name for name in PATHS if name != system)
    teacher = dict(model=config(other, channels))
    model = build(dict(
        type='MultiTeacherDetector',
        student=config(system, channels),
        teachers=dict(s=teacher, m=teacher, l=teacher),
        distill_losses=[dict(type='LogitDistillLoss')]))
    data = model.data_preprocessor(make_batch((3, 3)), True)
    losses = model.train()(**data, mode='loss')
    assert losses['loss_distill_output'] > 0
    assert torch.isfinite(total(losses))
    assert predict(model.eval())[0].seg_logits.shape == (64, 64)


@systems
@outputs
def test_origin_and_partitions(system, channels):
    member = dict(model=config(system, channels, 0.45 if channels == 1
                               else None))
    model = build(dict(
        type='OriginPartitionDetector', origin=member,
        partitions=dict(s=member, m=member, l=member)))
    samples = predict(model)
    assert {sample.partition for sample in samples} <= set('sml')
    for sample in samples:
        part = model.partitions[sample.partition]
        x = make_batch((3, 3), ignored=0)['inputs']
        x = model.data_preprocessor(dict(inputs=x))['inputs']
        with torch.no_grad():
            alone = part(x, mode='predict')
        found = [one.pred_sem_seg.data for one in alone]
        assert any(torch.equal(sample.pred_sem_seg.data, each)
                   for each in found)


def test_converter_takes_a_checkpoint_of_a_training(tmp_path, monkeypatch):
    """SGSLN's trainer stores the network under ``net``."""
    weights = rule.state_dict(rule.Figures('sgsln').info['state'])
    torch.save(dict(net=weights, optimizer={}), tmp_path / 'a.pth')
    code = run_tool(monkeypatch, 'tools/model_converters/convert.py',
                    'sgsln', tmp_path / 'a.pth', tmp_path / 'b.pth')
    assert code is None
    model = init_model(CONFIGS / 'sgsln/sgsln_reference.py',
                       tmp_path / 'b.pth')
    assert torch.equal(model.decode_head.conv_seg.weight,
                       weights['conv_out_change.weight'])
