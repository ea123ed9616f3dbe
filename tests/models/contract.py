"""What every system of the package promises, as one test class.

A new system inherits it and names its config::

    class TestMySystem(DetectorContract):
        config = 'my_system/my_model_setting_dataset-size.py'
        overrides = {'model.backbone.pretrained': False}

A system whose training holds parts that prediction does not use inherits
:class:`TeacherContract` instead.
"""
import itertools
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from opencd_gold.compat import load_checkpoint_file
from opencd_gold.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'


def make_batch(channels, size=(64, 64), count=2, ignored=8, seed=0):
    """A batch as the data loader gives it.

    Args:
        channels (Sequence[int]): Bands of the images.
        size (tuple[int, int]): H and W.
        count (int): Samples.
        ignored (int): First rows of each label that are 255.
        seed (int): Of images and labels.

    Returns:
        dict: ``inputs``, a list of (sum(channels), H, W) uint8 tensors, and
        ``data_samples``.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs, samples = [], []
    for index in range(count):
        inputs.append(
            torch.randint(
                256, (sum(channels), *size),
                generator=generator,
                dtype=torch.uint8))
        label = (torch.rand(1, *size, generator=generator) < 0.3).long()
        label[:, :ignored] = 255
        sample = SegDataSample(
            metainfo=dict(
                img_path=[f'{folder}/{index}.png' for folder in 'ABC'],
                img_shape=size,
                ori_shape=size))
        sample.gt_sem_seg = PixelData(data=label)
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def total(losses):
    """What mmengine minimises of a dict of losses."""
    return sum(value for name, value in losses.items() if 'loss' in name)


def gradients(model):
    """Gradients of trainable parameters, by name; None where there is none."""
    return {
        name: parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def tensors(model):
    """Parameters and buffers of a model, by name."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


class Logits(nn.Module):
    """A detector's ``mode='tensor'`` as a plain module."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, inputs):
        return self.model(inputs, mode='tensor')


class DetectorContract:
    """The promises. Attributes are what a system may set.

    Attributes:
        config (str): Path of its config below ``configs/``.
        network (str): Key of what holds data preprocessor, encoders and
            heads in it.
        overrides (dict): Dotted keys of the config and their values.
        freeze (dict): Overrides that freeze a part of the model.
        frozen_norms (bool): Whether that part has batch norms.
        heads (tuple[str]): Names of the heads in ``model``.
    """

    config: str
    network = 'model'
    overrides = {}
    freeze = {'model.backbone.frozen_stages': 1}
    frozen_norms = True
    heads = ('decode_head', )

    @pytest.fixture(autouse=True)
    def _own_run(self, request):
        """Progress of a training of ours, one thread."""
        name = f'contract {request.node.nodeid}'
        self.hub = MessageHub.get_instance(name)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        torch.manual_seed(0)
        yield
        torch.set_num_threads(threads)
        MessageHub._instance_dict.pop(name)

    def at_epoch(self, epoch):
        """Let schedules see a run in the middle."""
        self.hub.update_info_dict(
            dict(iter=epoch, max_iters=1000, iters_per_epoch=1))

    def read_config(self, overrides=None):
        cfg = Config.fromfile(CONFIGS / self.config)
        cfg.merge_from_dict({**self.overrides, **(overrides or {})})
        return cfg

    def read_network(self, cfg):
        """The part of a config that ``network`` names."""
        for key in self.network.split('.'):
            cfg = cfg[key]
        return cfg

    def build(self, overrides=None):
        return self.build_from(self.read_config(overrides))

    def build_from(self, cfg):
        init_default_scope(cfg.default_scope)
        return MODELS.build(cfg.model)

    def with_bands(self, bands_from, bands_to):
        """Config for other sensors; the guide is like the first date."""
        cfg = self.read_config()
        model = self.read_network(cfg)
        preprocessor = model.data_preprocessor
        channels = (bands_from, bands_to, bands_from)
        channels = channels[:len(preprocessor.channels)]
        preprocessor.update(
            channels=channels,
            mean=[100.] * len(channels),
            std=[50.] * len(channels))
        model.backbone.in_channels = bands_from
        if model.get('backbone_to'):
            model.backbone_to.in_channels = bands_to
        return cfg

    def batch(self, model, training=True, guide=True, **kwargs):
        channels = model.data_preprocessor.channels
        data = make_batch(channels if guide else channels[:2], **kwargs)
        return model.data_preprocessor(data, training)

    def train_step(self, model, **kwargs):
        losses = model.train()(**self.batch(model, **kwargs), mode='loss')
        total(losses).backward()
        return losses

    def logits(self, model, inputs):
        with torch.no_grad():
            return model.eval()(inputs, mode='tensor')

    def predict(self, model, **kwargs):
        channels = kwargs.pop('channels', model.data_preprocessor.channels)
        with torch.no_grad():
            return model.eval().test_step(make_batch(channels, **kwargs))

    def test_losses_are_finite(self):
        model = self.build().train()
        losses = model(**self.batch(model), mode='loss')
        assert total(losses).ndim == 0
        assert total(losses) > 0
        for name, value in losses.items():
            assert torch.isfinite(value).all(), name

    def test_every_parameter_has_a_gradient_in_the_first_step(self):
        """So DDP need not search for unused parameters."""
        model = self.build()
        self.train_step(model)
        for name, gradient in gradients(model).items():
            assert gradient is not None, name
            assert torch.isfinite(gradient).all(), name

    def test_gradient_reaches_every_weight(self):
        """But for biases before a batch norm, which cancel."""
        self.at_epoch(5)
        model = self.build()
        self.train_step(model)
        for name, gradient in gradients(model).items():
            if gradient.ndim > 1 or 'loss_weighting' in name:
                assert gradient.abs().max() > 0, name

    def test_frozen_part_stays(self):
        self.at_epoch(5)
        model = self.build(self.freeze)
        frozen = {
            name
            for name, parameter in model.named_parameters()
            if not parameter.requires_grad
        }
        assert frozen
        modules = {name.rsplit('.', 1)[0] for name in frozen}
        before = {
            name: value.clone()
            for name, value in tensors(model).items()
            if name.rsplit('.', 1)[0] in modules
        }
        statistics = any('running_mean' in name for name in before)
        assert statistics == self.frozen_norms
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        self.train_step(model)
        optimizer.step()
        for name, parameter in model.named_parameters():
            assert (parameter.grad is None) == (name in frozen), name
        state = tensors(model)
        for name, value in before.items():
            assert torch.equal(state[name], value), name

    @pytest.mark.parametrize('size', [(64, 64), (65, 83)])
    @pytest.mark.parametrize('divisor', [None, 32])
    def test_prediction_has_the_size_of_the_label(self, size, divisor):
        model = self.build({
            f'{self.network}.data_preprocessor.test_cfg':
            divisor and dict(size_divisor=divisor)
        })
        for sample in self.predict(model, size=size):
            assert sample.pred_sem_seg.data.shape == (1, *size)
            assert sample.seg_logits.data.shape == (model.out_channels, *size)
            assert sample.gt_sem_seg.data.shape == (1, *size)

    def test_odd_sizes_train(self):
        model = self.build()
        losses = self.train_step(model, size=(65, 83))
        assert torch.isfinite(total(losses))

    def test_bands(self):
        """1, 3 and 4 of each sensor, unequal where it has its encoders."""
        pairs = [(1, 3), (3, 4), (4, 1)]
        if not self.read_network(self.read_config()).get('backbone_to'):
            pairs = [(1, 1), (3, 3), (4, 4)]
        for pair in pairs:
            model = self.build_from(self.with_bands(*pair))
            assert torch.isfinite(total(self.train_step(model)))
            sample = self.predict(model, channels=pair, count=1)[0]
            assert sample.pred_sem_seg.shape == (64, 64)

    def test_state_dict_round_trip(self, tmp_path):
        source, target = self.build(), self.build()
        self.train_step(source)  # statistics move
        inputs = self.batch(source, training=False)['inputs']
        expected = self.logits(source, inputs)
        assert not torch.equal(self.logits(target, inputs), expected)
        torch.save(source.state_dict(), tmp_path / 'weights.pth')
        target.load_state_dict(
            load_checkpoint_file(tmp_path / 'weights.pth'), strict=True)
        assert torch.equal(self.logits(target, inputs), expected)

    def test_export(self):
        model = self.build().eval()
        inputs = self.batch(model, training=False, guide=False)['inputs']
        program = torch.export.export(Logits(model), (inputs, ))
        torch.testing.assert_close(
            program.module()(inputs),
            self.logits(model, inputs),
            rtol=1e-4,
            atol=1e-5)

    def test_prediction_is_that_of_the_logits(self):
        model = self.build({f'{self.network}.test_cfg.precision': 'float32'})
        batch = self.batch(model, training=False, size=(65, 83))
        samples = self.predict(model, size=(65, 83))
        logits = nn.functional.interpolate(
            self.logits(model, batch['inputs']),
            size=(65, 83),
            mode='bilinear',
            align_corners=model.align_corners)
        single = model.out_channels == 1
        for sample, expected in zip(samples, logits):
            scores = sample.seg_logits.data
            torch.testing.assert_close(
                scores,
                expected.sigmoid() if single else expected,
                rtol=1e-4,
                atol=1e-4)
            decided = (scores[0] > model.decode_head.threshold
                       if single else scores.argmax(0))
            assert torch.equal(sample.pred_sem_seg.data[0].bool(),
                               decided.bool())

    def test_prediction_ignores_the_guide(self):
        model = self.build()
        channels = model.data_preprocessor.channels
        if len(channels) < 3:
            channels = (*channels, 3)
            with pytest.raises(ValueError, match='bands in all'):
                self.predict(model, channels=channels)
            return
        inputs = self.batch(model, training=False)['inputs']
        pair = inputs[:, :sum(channels[:2])]
        inputs[:, pair.shape[1]:] = float('nan')
        expected = self.logits(model, pair)
        assert torch.isfinite(expected).all()
        assert torch.equal(self.logits(model, inputs), expected)

    def test_one_channel(self):
        """Sigmoid output: losses, prediction and its threshold."""
        keys = [f'{self.network}.{head}.' for head in self.heads]
        overrides = {f'{key}out_channels': 1 for key in keys}
        overrides.update({f'{key}threshold': 0.4 for key in keys})
        model = self.build(overrides)
        self.at_epoch(5)
        losses = self.train_step(model)
        assert torch.isfinite(total(losses))
        for name, gradient in gradients(model).items():
            assert torch.isfinite(gradient).all(), name
        assert model.decode_head.threshold == 0.4
        scores = [s.seg_logits.data for s in self.predict(model)]
        middle = torch.stack(scores).median().item()
        model.decode_head.threshold = middle
        for sample, score in zip(self.predict(model), scores):
            assert score.shape == (1, 64, 64)
            assert 0 <= score.min() < middle < score.max() <= 1
            assert torch.equal(sample.pred_sem_seg.data == 1, score > middle)

    def test_bfloat16_training_is_finite(self):
        self.at_epoch(5)
        model = self.build()
        with torch.autocast('cpu', dtype=torch.bfloat16):
            losses = model.train()(**self.batch(model), mode='loss')
        total(losses).backward()
        for name, value in losses.items():
            assert torch.isfinite(value).all(), name
            assert value.dtype == torch.float32, name
        for name, gradient in gradients(model).items():
            assert gradient.dtype == torch.float32, name
            assert torch.isfinite(gradient).all(), name


class TeacherContract(DetectorContract):
    """More promises, of detectors with parts for training alone.

    ``training_only`` of the detector names these parts.
    """

    heads = ('decode_head', 'teacher_head')

    def test_prediction_touches_nothing_of_the_training(self):
        model = self.build()
        channels = model.data_preprocessor.channels
        data = self.predict(model, channels=channels[:2])
        expected = torch.stack([s.seg_logits.data for s in data])
        parts = [getattr(model, name) for name in model.training_only]
        poisoned = 0
        for part in parts:
            for tensor in itertools.chain(part.parameters(), part.buffers()):
                if tensor.is_floating_point():
                    tensor.data.fill_(float('nan'))
                    poisoned += 1
        assert poisoned
        data = self.predict(model, channels=channels[:2])
        assert torch.equal(
            torch.stack([s.seg_logits.data for s in data]), expected)
        assert 'teacher_seg_logits' not in data[0]

    def test_prediction_with_and_without_guide_is_the_same(self):
        """Also where the teacher is evaluated beside it."""
        model = self.build({
            'model.test_cfg.evaluate_teacher': True,
            'model.test_cfg.precision': 'float32'
        })
        channels = model.data_preprocessor.channels
        guided = make_batch(channels)
        pair = make_batch(channels)
        pair['inputs'] = [
            image[:sum(channels[:2])] for image in pair['inputs']
        ]
        model.eval()
        with torch.no_grad():
            guided, pair = model.test_step(guided), model.test_step(pair)
        for one, other in zip(guided, pair):
            torch.testing.assert_close(
                one.seg_logits.data,
                other.seg_logits.data,
                rtol=1e-5,
                atol=1e-5)
            assert one.teacher_pred_sem_seg.shape == (64, 64)
            assert not torch.equal(one.teacher_seg_logits.data,
                                   one.seg_logits.data)
            assert 'teacher_pred_sem_seg' not in other
