"""tools/predict.py: what it writes, resumes, shares and refuses."""
import json
import signal
import subprocess
import sys

import cv2
import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.transform import from_origin
from running import ROOT, run_processes, run_tool
from tiny import write_checkpoint, write_config

from opencd_gold.compat import process_of

TOOL = 'tools/predict.py'
SIZE = (150, 140)
TILES = ('--tile-size', 64, '--overlap', 16, '--batch-size', 2)


def blobs(seed, bands):
    rng = np.random.default_rng(seed)
    coarse = rng.random((SIZE[0] // 8, SIZE[1] // 8, bands))
    fine = cv2.resize(coarse, SIZE[::-1]).reshape(*SIZE, bands)
    return np.uint8(1 + 254 * fine)


def write_tif(path, pixels):
    with rasterio.open(
            path, 'w', driver='GTiff', height=SIZE[0], width=SIZE[1],
            count=pixels.shape[2], dtype='uint8', crs='EPSG:32633',
            transform=from_origin(500000, 5400000, 10, 10)) as target:
        target.write(pixels.transpose(2, 0, 1))
    return path


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('files')
    write_checkpoint(folder)
    for date, bands in (('A', 3), ('B', 1)):
        (folder / date).mkdir()
        (folder / f'{date}_pictures').mkdir()
        for index in range(2):
            pixels = blobs(10 * bands + index, bands)
            write_tif(folder / date / f'scene{index}.tif', pixels)
            cv2.imwrite(str(folder / f'{date}_pictures/tile{index}.png'),
                        pixels[..., ::-1])
    return folder


@pytest.fixture
def call(monkeypatch, files, tmp_path):

    def run(first, second, *arguments, model='tiny.pth', out='out'):
        return run_tool(
            monkeypatch, TOOL, files / first, files / second, '--model',
            files / model, '--out', tmp_path / out, '--device', 'cpu',
            '--quiet', *arguments)

    return run


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def read(path):
    with rasterio.open(path) as source:
        return source.read(1)


def test_one_scene_with_polygons(call, tmp_path):
    assert call('A/scene0.tif', 'B/scene0.tif', *TILES, '--vectors', 'gpkg',
                '--min-area', 300, '--simplify', 0.5) is None
    out = tmp_path / 'out'
    assert names(out) == [
        'scene0_mask.tif', 'scene0_overlay.png', 'scene0_polygons.gpkg',
        'scene0_probability.tif', 'scene0_statistics.json']
    mask = read(out / 'scene0_mask.tif')
    figures = json.loads((out / 'scene0_statistics.json').read_text())
    assert figures['changed_pixels'] == (mask == 1).sum() > 0
    info = pyogrio.read_info(out / 'scene0_polygons.gpkg')
    assert info['features'] == figures['polygons'] > 0
    assert cv2.imread(str(out / 'scene0_overlay.png')).shape == (*SIZE, 3)
    probability = read(out / 'scene0_probability.tif')
    # Level 127 is 0.5, the threshold, up to rounding.
    clear = probability != 127
    np.testing.assert_array_equal(mask[clear], probability[clear] > 127)


def test_folders_of_scenes(call, tmp_path, files):
    assert call('A', 'B', *TILES, '--threshold', 0.3) is None
    for index in range(2):
        assert call(f'A/scene{index}.tif', f'B/scene{index}.tif', *TILES,
                    '--threshold', 0.3, out='each') is None
    for name in ('scene0_mask.tif', 'scene1_mask.tif'):
        np.testing.assert_array_equal(read(tmp_path / 'out' / name),
                                      read(tmp_path / 'each' / name))


def test_folders_of_pictures(call, tmp_path, files):
    assert call('A_pictures', 'B_pictures', '--batch-size', 1) is None
    out = tmp_path / 'out'
    assert len(names(out)) == 8
    mask = cv2.imread(str(out / 'tile1_mask.png'), cv2.IMREAD_UNCHANGED)
    assert mask.shape == SIZE and set(np.unique(mask)) == {0, 255}
    figures = json.loads((out / 'tile1_statistics.json').read_text())
    assert figures['changed_pixels'] == (mask == 255).sum()
    error = call('A_pictures', 'B_pictures')
    assert 'tile0_mask.png exists; --overwrite' in error
    assert call('A_pictures', 'B_pictures', '--overwrite') is None


def test_picture_and_scene_agree(call, tmp_path):
    """The same pixels, as PNG and as GeoTIFF, whole."""
    assert call('A_pictures/tile0.png', 'B_pictures/tile0.png') is None
    assert call('A/scene0.tif', 'B/scene0.tif') is None
    found = cv2.imread(str(tmp_path / 'out/tile0_probability.png'),
                       cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(
        found, read(tmp_path / 'out/scene0_probability.tif'))


def test_several_checkpoints(call, files, tmp_path, monkeypatch):
    config = write_config(files)
    write_checkpoint(files, 5, name='other.pth')
    assert call('A/scene0.tif', 'B/scene0.tif', '--weights',
                files / 'tiny.pth', files / 'other.pth', '--flips',
                'horizontal', model=config.name) is None
    with rasterio.open(tmp_path / 'out/scene0_mask.tif') as source:
        assert source.tags()['MODEL'] == 'tiny + tiny'


def test_killed_run_goes_on(files, tmp_path, call):
    """SIGKILL once the first parts are there."""
    assert call('A/scene0.tif', 'B/scene0.tif', *TILES, out='whole') is None
    script = tmp_path / 'die.py'
    script.write_text(f"""
import os, runpy, signal, sys
from opencd_gold.scenes import parts
write = parts.PartStore._write
def write_and_die(path, maps):
    write(path, maps)
    if 'part-00001' in path.name:
        os.kill(os.getpid(), signal.SIGKILL)
parts.PartStore._write = staticmethod(write_and_die)
sys.argv[0] = {TOOL!r}
runpy.run_path({str(ROOT / TOOL)!r}, run_name='__main__')
""")
    options = [files / 'A/scene0.tif', files / 'B/scene0.tif', '--model',
               files / 'tiny.pth', '--out', tmp_path / 'out', '--device',
               'cpu', '--quiet', *TILES]
    done = subprocess.run([sys.executable, script, *map(str, options)],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert names(tmp_path / 'out') == ['scene0.partial']
    error = call('A/scene0.tif', 'B/scene0.tif', *TILES, '--threshold', 0.4)
    assert 'begun with threshold = 0.5, found 0.4' in error
    assert call('A/scene0.tif', 'B/scene0.tif', *TILES) is None
    for name in ('scene0_probability.tif', 'scene0_mask.tif'):
        np.testing.assert_array_equal(read(tmp_path / 'out' / name),
                                      read(tmp_path / 'whole' / name))


def test_two_processes_share(files, tmp_path, call):
    """Under torchrun, one scene by rows and two scenes one each."""
    assert call('A', 'B', *TILES, out='whole') is None
    for which in ('/scene0.tif', ''):
        out = tmp_path / f'shared{len(which)}'
        done = run_processes(
            2, ROOT / TOOL, f'{files}/A{which}', f'{files}/B{which}',
            '--model', files / 'tiny.pth', '--out', out, '--device', 'cpu',
            '--quiet', *TILES)
        assert done.returncode == 0, done.stderr
        masks = sorted(path.name for path in out.glob('*mask.tif'))
        assert len(masks) == (1 if which else 2)
        assert not list(out.glob('*.partial'))
        for name in masks:
            np.testing.assert_array_equal(read(out / name),
                                          read(tmp_path / 'whole' / name))


def test_launchers(monkeypatch):
    assert process_of('none') == (0, 1, 0)
    monkeypatch.setenv('SLURM_PROCID', '5')
    monkeypatch.setenv('SLURM_NTASKS', '8')
    monkeypatch.setenv('SLURM_LOCALID', '1')
    assert process_of('slurm') == (5, 8, 1)
    monkeypatch.delenv('SLURM_LOCALID')
    with pytest.raises(RuntimeError, match='SLURM_LOCALID'):
        process_of('slurm')


@pytest.mark.parametrize('first, second, arguments, part', [
    ('A', 'B/scene0.tif', (), 'expected two files or two folders'),
    ('A/gone.tif', 'B/scene0.tif', (), 'no image at'),
    ('A', 'B_pictures', (), 'files are missing, first: '),
    ('B/scene0.tif', 'B/scene0.tif', (), 'has 1 bands, expected 3'),
    ('A/scene0.tif', 'B/scene0.tif', ('--bands-from', '7,1,2'),
     'has 3 bands, expected those asked for: (7, 1, 2)'),
    ('A/scene0.tif', 'B/scene0.tif', ('--overlap', '300'), 'overlap 300'),
    ('A/scene0.tif', 'B/scene0.tif', ('--threshold', '3'), 'threshold 3'),
    ('A/scene0.tif', 'B/scene0.tif', ('--range-to', '5', '5'),
     'limits (5.0, 5.0)'),
    ('A_pictures', 'B_pictures', ('--vectors', 'gpkg'),
     '--vectors is for GeoTIFF'),
    ('A/scene0.tif', 'B/scene0.tif', ('--min-area', '-1', '--vectors',
                                      'gpkg'), 'min_area -1'),
])
def test_one_clear_error(call, tmp_path, first, second, arguments, part):
    message = call(first, second, *arguments)
    assert message.startswith('error: ') and part in message
    assert len(message.splitlines()) == 1
    assert not (tmp_path / 'out').exists()


def test_model_that_is_none(call, files):
    (files / 'text.pth').write_text('hello')
    message = call('A/scene0.tif', 'B/scene0.tif', model='text.pth')
    assert 'text.pth is damaged or no checkpoint' in message
