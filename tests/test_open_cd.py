"""Standing inside Open-CD, as far as a package of its shape can tell.

The package made here has Open-CD's registries (children of mmengine's roots,
scope ``opencd``, imported on first look-up), an encoder that builds a child
by its bare name, a detector, a data set and a transform. What was run with
the real one is in docs/open-cd.md.
"""
import pytest
from running import ROOT, run_python

from opencd_gold.registry import DATASETS, TRANSFORMS

PACKAGE = {
    '__init__.py': '',
    'registry.py': """
from mmengine import registry as root
from mmengine.registry import Registry

MODELS = Registry('model', parent=root.MODELS, scope='opencd',
                  locations=['opencd.models'])
DATASETS = Registry('dataset', parent=root.DATASETS, scope='opencd',
                    locations=['opencd.datasets'])
TRANSFORMS = Registry('transform', parent=root.TRANSFORMS, scope='opencd',
                      locations=['opencd.datasets'])
""",
    'models.py': '''
import torch
from mmengine.model import BaseModule
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from torch import nn
from opencd.registry import MODELS

@MODELS.register_module()
class TwoIdentity(nn.Module):
    pass

@MODELS.register_module()
class StandInEncoder(BaseModule):
    """Two dates to one pyramid; its child is named without scope."""
    def __init__(self):
        super().__init__()
        self.exchange = MODELS.build(dict(type='TwoIdentity'))
        self.conv = nn.Conv2d(3, 8, 4, stride=4)
    def forward(self, a, b):
        return [torch.cat([self.conv(a), self.conv(b)], 1)]

@MODELS.register_module()
class StandInHead(BaseDecodeHead):
    def forward(self, inputs):
        return self.cls_seg(inputs[0])

@MODELS.register_module()
class DualInputSegDataPreProcessor(SegDataPreProcessor):
    pass

@MODELS.register_module()
class DIEncoderDecoder(EncoderDecoder):
    def extract_feat(self, inputs):
        return self.backbone(*inputs.split(3, 1))

@MODELS.register_module()
class StageEncoder(BaseModule):
    """One date; what this package calls an encoder."""
    def __init__(self):
        super().__init__()
        self.exchange = MODELS.build(dict(type='TwoIdentity'))
        self.convs = nn.ModuleList(
            nn.Conv2d(3 if i == 0 else 8, 8, 2, stride=2) for i in range(4))
    def forward(self, x):
        outs = []
        for conv in self.convs:
            x = conv(x)
            outs.append(x)
        return outs
''',
    'datasets.py': """
from mmengine.dataset import BaseDataset
from opencd.registry import DATASETS, TRANSFORMS

@TRANSFORMS.register_module()
class StandInTransform:
    def __call__(self, results):
        return {**results, 'touched': True}

@DATASETS.register_module()
class StandInDataset(BaseDataset):
    def load_data_list(self):
        return [dict(img_path=['a', 'b'])]
""",
}
STUDENT = """
import torch
import opencd_gold
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from opencd_gold.registry import DATASETS, MODELS

neck = dict(type='MultiScaleFusion', in_channels=[8] * 4, channels=8)
ours = dict(
    type='BitemporalDetector',
    data_preprocessor=dict(type='ChangeDataPreProcessor', channels=(3, 3)),
    backbone=dict(type='mmseg.ResNetV1c', depth=18, base_channels=8,
                  stem_channels=8),
    neck=dict(neck, in_channels=[8, 16, 32, 64]),
    decode_head=dict(type='MixFFNHead', in_channels=8))
theirs = dict(
    type='DIEncoderDecoder', _scope_='opencd',
    data_preprocessor=dict(type='DualInputSegDataPreProcessor'),
    backbone=dict(type='StandInEncoder'),
    decode_head=dict(type='StandInHead', in_channels=16, in_index=0,
                     channels=16, num_classes=2, loss_decode=dict(
                         type='mmseg.CrossEntropyLoss')))
inputs = torch.randn(2, 6, 32, 32)
samples = []
for share in (0, 1):
    sample = SegDataSample(metainfo=dict(img_shape=(32, 32)))
    sample.gt_sem_seg = PixelData(data=torch.full((1, 32, 32), share))
    samples.append(sample)
"""


@pytest.fixture
def run(tmp_path):
    """Run code in a fresh interpreter that can import the package."""
    folder = tmp_path / 'opencd'
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)

    def run(code):
        done = run_python('-c', STUDENT + code,
                          PYTHONPATH=f'{tmp_path}:{ROOT / "tests"}')
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run


def test_ours_in_the_scope_of_open_cd(run):
    """One module by its prefix; a detector by ``_scope_``, parts and all."""
    assert run("""
init_default_scope('opencd')
root = MODELS.parent
head = root.build(dict(type='opencd_gold.MixFFNHead', in_channels=8,
                       loss_decode=dict(
                           type='opencd_gold.ChangeCrossEntropyLoss')))
model = root.build(dict(ours, _scope_='opencd_gold'))
losses = model(inputs, samples, mode='loss')
print(type(head).__name__, type(model).__name__, *losses)
from opencd.registry import MODELS as other
print(type(other.build(dict(type='StandInEncoder'))).__name__)
""") == ['MixFFNHead', 'BitemporalDetector', 'loss_ce', 'StandInEncoder']


def test_theirs_in_our_scope(run):
    """Encoder and data set of Open-CD in a config of ours.

    A prefix does not reach children that are named without; ``_scope_`` does.
    """
    assert run("""
import sys
init_default_scope('opencd_gold')
MODELS.build(ours)
print('opencd' in sys.modules)
try:
    MODELS.build(dict(type='opencd.StageEncoder'))
except KeyError as error:
    print('TwoIdentity' in str(error))
model = MODELS.build(dict(
    ours, backbone=dict(type='StageEncoder', _scope_='opencd'), neck=neck))
losses = model(inputs, samples, mode='loss')
data = DATASETS.build(dict(
    type='StandInDataset', _scope_='opencd',
    pipeline=[dict(type='StandInTransform')]))
print(type(model.backbone).__module__, *losses, data[0]['touched'])
""") == ['False', 'True', 'opencd.models', 'loss_ce', 'True']


def test_a_detector_of_open_cd_teaches_and_learns(run):
    """As a teacher of our student, and the other way round."""
    assert run("""
init_default_scope('opencd_gold')
for student, teacher in ((ours, theirs), (theirs, ours)):
    model = MODELS.build(dict(
        type='MultiTeacherDetector', student=student,
        teachers=dict(s=dict(model=teacher), l=dict(model=student)),
        router=dict(type='ChangeAreaRouter', thresholds=(0.1, )),
        distill_losses=[dict(type='TeacherSquareLoss')]))
    losses = model(inputs, samples, mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    print(*sorted(name for name in losses if 'loss' in name))
""") == ['loss_ce', 'loss_distill_square', 'decode.loss_ce',
         'loss_distill_square']


@pytest.mark.parametrize('name', [
    'MultiImgLoadImageFromFile', 'MultiImgLoadAnnotations',
    'MultiImgRandomRotFlip', 'MultiImgRandomRotate', 'MultiImgRandomFlip',
    'MultiImgRandomCrop', 'MultiImgExchangeTime',
    'MultiImgPhotoMetricDistortion', 'MultiImgResize', 'MultiImgPackSegInputs'
])
def test_its_names_of_transforms(name):
    assert TRANSFORMS.get(name).__module__.startswith('opencd_gold')


@pytest.mark.parametrize('name', [
    'LEVIR_CD_Dataset', 'S2Looking_Dataset', 'WHU_CD_Dataset',
    'JL1_CD_Dataset', 'SYSU_CD_Dataset'
])
def test_its_names_of_data_sets(name):
    assert DATASETS.get(name).__module__.startswith('opencd_gold')
