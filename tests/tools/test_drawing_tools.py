import json
import runpy
import sys
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from opencd_gold.datasets import SeededInfiniteSampler

TOOLS = Path(__file__).parents[2] / 'tools/analysis_tools'
CONFIG = """
default_scope = 'opencd_gold'
model = dict(data_preprocessor=dict(channels=(3, 1, 3)))
train_dataloader = dict(
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(
        type='ChangeDataset',
        data_root='{root}',
        sensors=('optical', 'sar', 'optical'),
        data_prefix=dict(
            img_path_from='A',
            img_path_to='B',
            img_path_guide='C',
            seg_map_path='label'),
        pipeline=[
            dict(type='MultiImgLoadImageFromFile', color_order='{order}'),
            dict(type='MultiImgLoadAnnotations'),
            dict(type='MultiImgPackSegInputs')
        ]))
val_dataloader = None
"""


def run_tool(monkeypatch, name, *arguments):
    monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
    runpy.run_path(str(TOOLS / name), run_name='__main__')


@pytest.fixture
def browse(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for folder, bands in (('A', 3), ('B', 1), ('C', 3), ('label', 1)):
        (tmp_path / folder).mkdir()
        for stem in ('one', 'two', 'three'):
            image = rng.integers(0, 256, (256, 256, bands), dtype=np.uint8)
            if folder == 'A':
                image[:] = (255, 128, 0)  # blue, green, red
            if folder == 'label':
                image = (image > 127).astype(np.uint8)
            cv2.imwrite(str(tmp_path / folder / f'{stem}.png'), image)

    def run(*arguments, order='rgb'):
        config = tmp_path / f'{order}.py'
        config.write_text(CONFIG.format(root=tmp_path, order=order))
        out = tmp_path / 'out'
        run_tool(monkeypatch, 'browse_dataset.py', config, '--out', out,
                 *arguments)
        return sorted(out.iterdir())

    return run


@pytest.mark.parametrize('order', ['rgb', 'bgr'])
def test_browse_draws_what_the_pipeline_gives(browse, order):
    pictures = browse('--number', '2', order=order)
    assert [path.name[:5] for path in pictures] == ['0000_', '0001_']
    picture = cv2.imread(str(pictures[0]))
    assert picture.shape[1] == 12 + 4 * (256 + 12)
    assert picture[150, 100].tolist() == [255, 128, 0]


def test_browse_stops_at_the_size_of_the_set(browse):
    assert len(browse()) == 3


def test_browse_obeys_the_seed(browse):
    names = [path.name for path in browse('--seed', '1')]
    stems = sorted(('one', 'two', 'three'))
    draws = islice(SeededInfiniteSampler(stems, seed=1), 3)
    assert names == [
        f'{turn:04d}_{stems[draw]}.png' for turn, draw in enumerate(draws)
    ]


def test_browse_overrides_the_config(browse):
    pictures = browse('--number', '1', '--cfg-options',
                      'train_dataloader.dataset.indices=1')
    assert [path.name for path in pictures] == ['0000_one.png']


def test_browse_says_which_split_is_missing(browse):
    with pytest.raises(SystemExit, match='no val_dataloader'):
        browse('--split', 'val')


def test_browse_says_that_channels_do_not_fit(browse):
    with pytest.raises(ValueError, match='7 channels.*3 = 1'):
        browse('--cfg-options',
               'model.data_preprocessor.channels=(1,1,1)')


def test_plot_curves(tmp_path, monkeypatch):
    log = tmp_path / '20260101/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps(dict(loss=1., iter=1, step=1)))
    run_tool(monkeypatch, 'plot_curves.py', tmp_path)
    assert cv2.imread(str(tmp_path / 'curves.png')) is not None
    out = tmp_path / 'other/c.png'
    run_tool(monkeypatch, 'plot_curves.py', log, '--out', out)
    assert out.is_file()


def test_plot_curves_of_no_run(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match='LocalVisBackend'):
        run_tool(monkeypatch, 'plot_curves.py', tmp_path)
