import pytest
import torch
from mmengine.model import BaseModel
from mmengine.structures import PixelData
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.structures import SegDataSample
from torch import nn

from opencd_gold.models.detectors.tta import ChangeTTAModel, undo_flip
from opencd_gold.registry import MODELS

FLIPS = (None, 'horizontal', 'vertical', 'diagonal')
DIMS = dict(horizontal=[2], vertical=[1], diagonal=[1, 2])


class FakeHead(nn.Module):

    align_corners = False

    def __init__(self, channels):
        super().__init__()
        self.out_channels = self.num_classes = channels
        self.threshold = 0.4 if channels == 1 else None


class FakeDetector(BaseSegmentor):
    """Scores each pixel by itself: equivariant under flips.

    With ``column_bias`` it also scores by the column, so that it is not.
    """

    def __init__(self, channels, column_bias=0., teacher=False):
        super().__init__()
        self.decode_head = FakeHead(channels)
        self.teacher_head = FakeHead(channels)
        self.align_corners = False
        self.column_bias = column_bias
        self.teacher = teacher

    def scores(self, inputs):
        inputs = inputs[:, :1].float()
        column = torch.arange(inputs.shape[-1]) * self.column_bias
        logit = inputs + column
        if self.decode_head.out_channels == 1:
            return logit
        return torch.cat([-logit, logit], 1)

    def predict(self, inputs, data_samples=None):
        samples = self.postprocess_result(self.scores(inputs), data_samples)
        for sample in samples if self.teacher else ():
            sample.teacher_seg_logits = PixelData(
                data=-sample.seg_logits.data)
            sample.teacher_pred_sem_seg = PixelData(
                data=1 - sample.pred_sem_seg.data)
        return samples

    def extract_feat(self, inputs):
        return inputs

    def encode_decode(self, inputs, batch_img_metas):
        return self.scores(inputs)

    def loss(self, inputs, data_samples):
        return {}

    def _forward(self, inputs, data_samples=None):
        return self.scores(inputs)


def make_data(images, flips=FLIPS):
    data = dict(inputs=[], data_samples=[])
    for direction in flips:
        inputs, samples = [], []
        for index, image in enumerate(images):
            inputs.append(
                image if direction is None else image.flip(DIMS[direction]))
            sample = SegDataSample(
                metainfo=dict(
                    img_path=[f'a/{index}.png', f'b/{index}.png'],
                    ori_shape=tuple(image.shape[-2:]),
                    img_shape=tuple(image.shape[-2:]),
                    flip=direction is not None,
                    flip_direction=direction))
            sample.gt_sem_seg = PixelData(data=(image[:1] > 0).long())
            samples.append(sample)
        data['inputs'].append(inputs)
        data['data_samples'].append(samples)
    return data


class Stack(BaseModel):
    """The part of a data preprocessor that the fake detector needs."""

    def forward(self, data, training=False):
        return dict(data, inputs=torch.stack(data['inputs']))


def predict(detector, data):
    detector.data_preprocessor = Stack()
    with torch.no_grad():
        return ChangeTTAModel(detector).test_step(data)


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(4, 6, 5, generator=generator),
        torch.randn(4, 6, 5, generator=generator)
    ]


@pytest.mark.parametrize('channels', [1, 2])
def test_equivariant_detector_is_unchanged(images, channels):
    merged = predict(FakeDetector(channels), make_data(images))
    plain = FakeDetector(channels).predict(
        torch.stack(images),
        make_data(images, (None, ))['data_samples'][0])
    for one, other, image in zip(merged, plain, images):
        assert one.pred_sem_seg.shape == (6, 5)
        assert torch.equal(one.pred_sem_seg.data, other.pred_sem_seg.data)
        assert 0 < one.pred_sem_seg.data.float().mean() < 1
        assert torch.equal(one.gt_sem_seg.data, (image[:1] > 0).long())
        assert one.img_path == other.img_path
        assert not one.flip
        scores, expected = one.seg_logits.data, other.seg_logits.data
        if channels == 2:
            scores, expected = scores.softmax(0), expected.softmax(0)
        assert torch.allclose(scores, expected, atol=1e-6)


@pytest.mark.parametrize('channels', [1, 2])
@pytest.mark.parametrize('flips', [FLIPS, ('horizontal', 'vertical')])
def test_probabilities_are_averaged(images, channels, flips):
    detector = FakeDetector(channels, column_bias=0.7)
    detector.decode_head.threshold = 0.4
    merged = predict(detector, make_data(images, flips))
    column = torch.arange(5) * 0.7
    steepness = channels  # softmax of (-x, x) is the sigmoid of 2 x
    for sample, image in zip(merged, images):
        mean = torch.stack([
            torch.sigmoid(steepness *
                          (image[0] +
                           (column.flip(0) if direction in
                            ('horizontal', 'diagonal') else column)))
            for direction in flips
        ]).mean(0)
        scores = sample.seg_logits.data
        change = scores[0] if channels == 1 else scores.softmax(0)[1]
        assert torch.allclose(change, mean, atol=1e-6)
        assert torch.equal(sample.pred_sem_seg.data[0] == 1, mean > 0.4)


def test_teacher_is_merged(images):
    merged = predict(FakeDetector(2, teacher=True), make_data(images))
    for sample, image in zip(merged, images):
        assert torch.equal(sample.teacher_pred_sem_seg.data,
                           (image[:1] <= 0).long())


def test_teacher_has_the_threshold_of_its_head(images):
    """Probabilities of 0.5; the student's head asks for more than 0.4."""
    images = [torch.zeros_like(image) for image in images]
    detector = FakeDetector(2, teacher=True)
    detector.decode_head.threshold = 0.4
    detector.teacher_head.threshold = 0.6
    for sample in predict(detector, make_data(images)):
        assert sample.pred_sem_seg.data.all()
        assert not sample.teacher_pred_sem_seg.data.any()


def test_certain_background_keeps_finite_scores(images):
    images = [torch.full_like(image, -1e4) for image in images]
    merged = predict(FakeDetector(2), make_data(images))
    assert merged[0].seg_logits.data.isfinite().all()


def test_unknown_direction():
    with pytest.raises(ValueError, match="'sideways'.*horizontal"):
        undo_flip(torch.zeros(1, 2, 2), 'sideways')


def test_is_registered():
    model = MODELS.build(
        dict(type='ChangeTTAModel', module=FakeDetector(2)))
    assert isinstance(model, ChangeTTAModel)
