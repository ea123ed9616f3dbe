"""benchmark_annotate.py: its scenes, its walk, its figures."""
import runpy
from types import SimpleNamespace

import pytest
import rasterio
from annotation.conftest import make_client
from running import ROOT, run_tool

from opencd_gold.annotation.project import Project

TOOL = 'tools/analysis_tools/benchmark_annotate.py'


@pytest.fixture(scope='module')
def tool():
    return SimpleNamespace(**runpy.run_path(str(ROOT / TOOL)))


def test_help(monkeypatch, capsys):
    assert run_tool(monkeypatch, TOOL, '--help') is None
    assert '--sizes' in capsys.readouterr().out
    assert run_tool(monkeypatch, TOOL, '--sizes', 100) == 2
    assert 'expected 256 or more' in capsys.readouterr().err


def test_scene(tool, tmp_path):
    tool.make_scene(tmp_path, 600)
    for folder, kind in (('A', 'uint8'), ('B', 'float32')):
        with rasterio.open(tmp_path / folder / 'scene.tif') as source:
            assert source.shape == (600, 600) and source.dtypes[0] == kind
            assert source.block_shapes[0] == (512, 512)
            assert source.read(1).min() > 0 and not source.overviews(1)


def test_walk_goes_from_the_whole_to_full_resolution(tool):
    pair = dict(id='x', levels=4, width=2000, height=1500,
                images=[dict(key='A'), dict(key='B')])
    views = tool.walk(pair)
    assert len(views) == 3 + 6
    assert views[0] == ['/api/pairs/x/tiles/A/3/0/0.png',
                        '/api/pairs/x/tiles/B/3/0/0.png']
    assert all(len(view) == 2 * 4 * 3 for view in views[2:])
    assert '/api/pairs/x/tiles/B/0/4/3.png' in views[-1]


def test_measure(tool, tmp_path):
    tool.make_scene(tmp_path, 600)
    with make_client(Project.open(tmp_path)) as client:
        pair = client.get('/api/project').json()['pairs'][0]['id']
        pair = client.get(f'/api/pairs/{pair}').json()
        views = tool.walk(pair)
        found = tool.measure(SimpleNamespace(client=client), views)
    assert found['tiles'] == 2 * (1 + 4 + 6 * 9) and found['final']
    assert 0 < found['tile_median'] <= found['tile_p95']
    assert 0 < found['view_median'] <= found['view_most']
