import json
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer
from mmseg.structures import SegDataSample
from torch import nn
from torch.utils.data import Dataset

from opencd_gold.engine.hooks import ChangeVisualizationHook, LossCurveHook
from opencd_gold.visualization import ChangeVisualizer, to_display


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('opencd_gold')


@pytest.fixture
def pair(tmp_path):
    """Files of one sample: color before, gray after; and its sample."""
    rng = np.random.default_rng(0)
    paths = []
    for folder, bands in (('A', 3), ('B', 1)):
        path = tmp_path / folder / 'tile.png'
        path.parent.mkdir(parents=True)
        cv2.imwrite(
            str(path), rng.integers(0, 256, (32, 32, bands), dtype=np.uint8))
        paths.append(str(path))
    label = torch.zeros(1, 32, 32, dtype=torch.long)
    label[:, :8] = 1
    sample = SegDataSample(
        metainfo=dict(img_path=paths, sensors=['optical', 'sar']))
    sample.gt_sem_seg = PixelData(data=label)
    sample.pred_sem_seg = PixelData(data=label.clone())
    return sample


def make_runner(visualizer=None, step=20):
    return SimpleNamespace(
        visualizer=visualizer or ChangeVisualizer(), iter=step)


def test_picture_of_the_files(tmp_path, pair):
    hook = ChangeVisualizationHook(draw=True, out_dir=str(tmp_path / 'out'))
    runner = make_runner()
    hook.after_test_iter(runner, 0, outputs=[pair])
    written = cv2.imread(str(tmp_path / 'out/tile.png'))[..., ::-1]
    images = [cv2.imread(path)[..., ::-1] for path in pair.img_path]
    expected = runner.visualizer.draw(
        [images[0], images[1][..., :1]], pair, caption='tile')
    assert np.array_equal(written, expected)


@pytest.mark.parametrize('batch, drawn', [(0, False), (4, True), (5, False),
                                          (9, True)])
def test_interval_of_validation(tmp_path, pair, batch, drawn):
    hook = ChangeVisualizationHook(
        draw=True, interval=5, out_dir=str(tmp_path / 'out'))
    hook.after_val_iter(make_runner(), batch, outputs=[pair])
    assert (tmp_path / 'out/val_tile_20.png').is_file() == drawn


def test_nothing_is_drawn_unless_asked(tmp_path, pair):
    hook = ChangeVisualizationHook(interval=1, out_dir=str(tmp_path / 'out'))
    hook.before_run(make_runner(Visualizer()))
    hook.after_val_iter(make_runner(), 0, outputs=[pair])
    hook.after_test_iter(make_runner(), 0, outputs=[pair])
    assert not (tmp_path / 'out').exists()


def test_same_stem_in_two_folders(tmp_path, pair):
    other = pair.clone()
    other.set_metainfo(dict(img_path=pair.img_path[::-1]))
    hook = ChangeVisualizationHook(draw=True, out_dir=str(tmp_path / 'out'))
    hook.after_test_iter(make_runner(), 0, outputs=[pair, other])
    names = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert names == ['B_tile.png', 'tile.png']


def test_backends_get_pictures_without_out_dir(tmp_path, pair):
    visualizer = ChangeVisualizer(
        vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path))
    hook = ChangeVisualizationHook(draw=True, interval=1)
    hook.after_val_iter(make_runner(visualizer), 0, outputs=[pair])
    assert (tmp_path / 'vis_data/vis_image/val_tile_20.png').is_file()


def test_another_visualizer_is_refused():
    hook = ChangeVisualizationHook(draw=True)
    with pytest.raises(TypeError, match='ChangeVisualizer.*found Visualizer'):
        hook.before_run(make_runner(Visualizer()))


@pytest.mark.parametrize('name', ['interval', 'test_interval'])
def test_intervals_are_positive(name):
    with pytest.raises(ValueError, match=f'{name}=0'):
        ChangeVisualizationHook(**{name: 0})


class Tiles(Dataset):

    metainfo = dict(classes=('unchanged', 'changed'))

    def __init__(self, sample):
        self.sample = sample

    def __len__(self):
        return 2

    def __getitem__(self, index):
        images = [cv2.imread(path) for path in self.sample.img_path]
        return dict(
            inputs=torch.from_numpy(
                np.concatenate([to_display(image) for image in images], -1)
            ).permute(2, 0, 1).float(),
            data_samples=self.sample.clone())


class Model(BaseModel):
    """Learns one number; predicts the label, its teacher nothing."""

    def __init__(self, fail_at=None):
        super().__init__()
        self.number = nn.Parameter(torch.ones(1))
        self.fail_at = fail_at
        self.calls = 0

    def forward(self, inputs, data_samples, mode):
        if mode == 'loss':
            self.calls += 1
            if self.calls == self.fail_at:
                raise KeyboardInterrupt
            return {
                'loss_ce': self.number.square().sum(),
                'weight/task.student': torch.tensor(0.7)
            }
        for sample in data_samples:
            sample.pred_sem_seg = sample.gt_sem_seg.clone()
            sample.teacher_pred_sem_seg = PixelData(
                data=torch.zeros_like(sample.gt_sem_seg.data))
        return data_samples


def make_training(work_dir, pair, name, model=None):
    loader = dict(batch_size=1, collate_fn=dict(type='pseudo_collate'))
    return Runner(
        model or Model(),
        str(work_dir),
        train_dataloader=dict(
            dataset=Tiles(pair), sampler=dict(type='InfiniteSampler'),
            **loader),
        val_dataloader=dict(
            dataset=Tiles(pair),
            sampler=dict(type='DefaultSampler', shuffle=False),
            **loader),
        train_cfg=dict(
            type='IterBasedTrainLoop', max_iters=6, val_interval=3),
        val_cfg=dict(),
        val_evaluator=dict(type='ChangeMetric'),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            logger=dict(
                type='LoggerHook', interval=1, log_metric_by_epoch=False),
            checkpoint=dict(
                type='CheckpointHook',
                by_epoch=False,
                interval=3,
                save_best='IoU',
                rule='greater'),
            visualization=dict(
                type='ChangeVisualizationHook', draw=True, interval=1)),
        custom_hooks=[dict(type='LossCurveHook')],
        log_processor=dict(by_epoch=False, window_size=1),
        visualizer=dict(
            type='ChangeVisualizer',
            vis_backends=[dict(type='LocalVisBackend')]),
        default_scope='opencd_gold',
        experiment_name=name)


def test_a_run_leaves_curves_pictures_and_the_best(tmp_path, pair):
    work_dir = tmp_path / 'run'
    make_training(work_dir, pair, 'whole').train()
    picture = cv2.imread(str(work_dir / 'curves.png'))
    assert picture.shape[1] == 1800
    assert list(work_dir.glob('*/vis_data/vis_image/val_tile_3.png'))
    assert (work_dir / 'best_IoU_iter_3.pth').is_file()
    lines = next(work_dir.glob('*/vis_data/scalars.json')).read_text()
    val = [json.loads(line) for line in lines.splitlines()][-1]
    assert val['IoU'] == 100 and val['teacher/IoU'] == 0
    assert val['background/OA'] == 75


def test_an_interrupted_run_leaves_curves(tmp_path, pair, monkeypatch):
    """The interpreter calls what is registered with atexit."""
    registered = []
    monkeypatch.setattr('atexit.register', registered.append)
    work_dir = tmp_path / 'run'
    runner = make_training(work_dir, pair, 'stopped', Model(fail_at=3))
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert not (work_dir / 'curves.png').exists()
    (draw, ) = registered
    draw()
    assert (work_dir / 'curves.png').is_file()


def test_a_run_goes_on_without_matplotlib(tmp_path, monkeypatch):
    (tmp_path / '20260101/vis_data').mkdir(parents=True)
    (tmp_path / '20260101/vis_data/scalars.json').write_text(
        '{"loss": 1.0, "iter": 1, "step": 1}\n')
    hook = LossCurveHook()
    runner = SimpleNamespace(work_dir=str(tmp_path))
    hook.before_train(runner)
    monkeypatch.setitem(sys.modules, 'matplotlib.figure', None)
    warnings = []
    monkeypatch.setattr('opencd_gold.engine.hooks.curves.print_log',
                        lambda text, **kwargs: warnings.append(text))
    hook.after_run(runner)
    assert len(warnings) == 1
    assert 'was not drawn' in warnings[0] and 'matplotlib' in warnings[0]
    assert not (tmp_path / 'curves.png').exists()


def test_a_log_without_backend_is_a_warning(tmp_path, monkeypatch):
    hook = LossCurveHook()
    runner = SimpleNamespace(work_dir=str(tmp_path))
    hook.before_train(runner)
    warnings = []
    monkeypatch.setattr('opencd_gold.engine.hooks.curves.print_log',
                        lambda text, **kwargs: warnings.append(text))
    hook.after_run(runner)
    assert 'LocalVisBackend' in warnings[0]


def test_testing_draws_no_curves(tmp_path):
    hook = LossCurveHook()
    runner = SimpleNamespace(work_dir=str(tmp_path))
    hook.after_val_epoch(runner)
    hook.after_run(runner)
    assert not list(tmp_path.iterdir())
