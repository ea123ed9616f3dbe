"""Raw scenes to tiles: pixels, grids, filters, splits, the authors' way."""
import csv
import json
import re

import cv2
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from running import run_tool

from opencd_gold.datasets import SyntheticChangeDataset
from opencd_gold.datasets.converting import ConversionError
from opencd_gold.scenes import prepare
from opencd_gold.scenes.prepare import PrepareOptions, Tile, assign, starts

TOOL = 'tools/dataset_converters/prepare_scenes.py'
LEFT, TOP = 500000, 5400000
FOLDERS = ('A', 'B', 'C', 'label')


def write(path, pixels, transform=None, crs='EPSG:32633', nodata=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    with rasterio.open(
            path, 'w', driver='GTiff', count=len(pixels),
            height=pixels.shape[1], width=pixels.shape[2],
            dtype=pixels.dtype, crs=crs, nodata=nodata,
            transform=transform or from_origin(LEFT, TOP, 10, 10)) as target:
        target.write(pixels)


def make_scene(root, name, seed, shape=(96, 128), left=LEFT, crs='EPSG:32633'):
    """A, B, D, E of one place; values of A tell the place."""
    rng = np.random.default_rng(seed)
    place = from_origin(left, TOP, 10, 10)
    a = rng.integers(10, 256, (3, *shape), np.uint8)
    write(root / f'{name}_A.tif', a, place, crs)
    write(root / f'{name}_B.tif',
          rng.integers(10, 256, shape, np.uint8), place, crs)
    write(root / f'{name}_D.tif', a[::-1].copy(), place, crs)
    label = np.zeros(shape, np.uint8)
    label[20:40, 30:60] = 1 + seed
    write(root / f'{name}_E.tif', label, place, crs, nodata=0)


@pytest.fixture
def raw(tmp_path):
    """Four scenes far from each other, and one near the first."""
    for index in range(4):
        make_scene(tmp_path / 'raw', f's{index}', index,
                   left=LEFT + 50000 * index)
    return tmp_path / 'raw'


@pytest.fixture
def call(monkeypatch, tmp_path):

    def run(root, *arguments, size=32):
        return run_tool(monkeypatch, TOOL, root, '--out', tmp_path / 'out',
                        '--size', size, '--sheet', 1, *arguments)

    return run


def table(folder):
    with open(folder / 'tiles.csv') as file:
        return list(csv.DictReader(file))


def read(path):
    with rasterio.open(path) as source:
        return source.read()


def test_tiles_are_the_scene(raw, call, tmp_path):
    assert call(raw) is None
    out = tmp_path / 'out'
    rows = table(out)
    assert len(rows) == 4 * 3 * 4
    assert {row['split'] for row in rows} == {'train', 'val', 'test'}
    for row in rows[::5]:
        top, left = int(row['row']), int(row['column'])
        here = (slice(None), slice(top, top + 32), slice(left, left + 32))
        for folder, role in zip(FOLDERS, 'ABDE'):
            path = out / row['split'] / folder / f'{row["name"]}.png'
            expected = read(raw / f'{row["scene"]}_{role}.tif')[here]
            if folder == 'label':
                expected = 255 * (expected > 0)
                assert float(row['changed']) == pytest.approx(
                    (expected > 0).mean(), abs=1e-4)
            np.testing.assert_array_equal(read(path), expected)


def test_georeference_is_kept(raw, call, tmp_path):
    assert call(raw) is None
    row = table(tmp_path / 'out')[-1]
    for folder in FOLDERS:
        path = (tmp_path / 'out' / row['split'] / folder
                / f'{row["name"]}.png')
        with rasterio.open(path) as source:
            assert source.crs == 'EPSG:32633'
            scene = int(row['scene'][1:])
            assert source.transform * (0, 0) == pytest.approx(
                (LEFT + 50000 * scene + 10 * int(row['column']),
                 TOP - 10 * int(row['row'])))
        assert path.with_suffix('.wld').is_file()


def test_data_set_reads_the_tiles(raw, call, tmp_path):
    assert call(raw) is None
    for split in ('train', 'val', 'test'):
        found = SyntheticChangeDataset(
            data_root=str(tmp_path / 'out'), pipeline=[],
            data_prefix={
                key: f'{split}/{folder}' for key, folder in zip(
                    ('img_path_from', 'img_path_to', 'img_path_guide',
                     'seg_map_path'), FOLDERS)
            })
        assert len(found) == sum(
            row['split'] == split for row in table(tmp_path / 'out'))


def test_summary_and_sheet(raw, call, tmp_path, capsys):
    assert call(raw) is None
    assert re.search(r'train *\| *2 *\| *24', capsys.readouterr().out)
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    assert sum(split['tiles'] for split in summary['splits'].values()) == 48
    assert cv2.imread(str(tmp_path / 'out/contact_sheet.png')) is not None


def test_same_seed_same_tiles(raw, call, tmp_path):
    assert call(raw, '--seed', 3) is None
    first = table(tmp_path / 'out')
    assert call(raw, '--seed', 3, '--force') is None
    assert table(tmp_path / 'out') == first


# grids ---------------------------------------------------------------------


def test_layers_of_other_grids(call, tmp_path):
    """B coarser, shifted, in another CRS: what is seen is the same place.

    A holds the easting and B, made in degrees, the easting of its pixels.
    """
    raw = tmp_path / 'raw'
    shape = (64, 64)
    easting = LEFT + 10 * (np.arange(64) + .5)
    write(raw / 'x_A.tif', np.tile(easting.astype(np.float32), (64, 1)))
    west, south, east, north = rasterio.warp.transform_bounds(
        'EPSG:32633', 'EPSG:4326', LEFT - 200, TOP - 900, LEFT + 900,
        TOP + 200)
    step = 1e-4
    columns, rows = int((east - west) / step), int((north - south) / step)
    lon, lat = np.meshgrid(west + (np.arange(columns) + .5) * step,
                           north - (np.arange(rows) + .5) * step)
    x, _ = rasterio.warp.transform('EPSG:4326', 'EPSG:32633', lon.ravel(),
                                   lat.ravel())
    write(raw / 'x_B.tif', np.reshape(x, lon.shape).astype(np.float32),
          from_origin(west, north, step, step), 'EPSG:4326')
    label = np.zeros(shape, np.uint8)
    label[10:20] = 255
    cv2.imwrite(str(raw / 'x_E.png'), label)
    assert call(raw, '--roles', 'A=A', 'B=B', 'label=E', '--ratios', 1, 0,
                0) is None
    paths = sorted((tmp_path / 'out/train/B').glob('*.tif'))
    assert len(paths) == 4
    for path in paths:
        other = tmp_path / 'out/train/A' / path.name
        np.testing.assert_allclose(read(path), read(other), atol=0.5)
    assert (read(tmp_path / 'out/train/label/x_y00000_x00000.tif')
            == label[:32, :32]).all()


def test_other_resolution_and_crs(raw, call, tmp_path):
    assert call(raw, '--resolution', 20) is None
    rows = table(tmp_path / 'out')
    assert len(rows) == 4 * 2 * 2
    with rasterio.open(tmp_path / 'out' / rows[0]['split'] / 'A'
                       / f'{rows[0]["name"]}.png') as source:
        assert source.res == (20, 20)
    assert call(raw, '--crs', 'EPSG:3857', '--force', '--max-nodata',
                0.5) is None
    rows = table(tmp_path / 'out')
    with rasterio.open(tmp_path / 'out' / rows[0]['split'] / 'A'
                       / f'{rows[0]["name"]}.png') as source:
        assert source.crs == 'EPSG:3857'


def test_valid_overlap(raw, call, tmp_path):
    """B covers the right half of A: only tiles there."""
    path = raw / 's0_B.tif'
    pixels = read(path)
    write(path, pixels[..., 64:].copy(), from_origin(LEFT + 640, TOP, 10, 10))
    assert call(raw) is None
    columns = [int(row['column']) for row in table(tmp_path / 'out')
               if row['scene'] == 's0']
    assert sorted(set(columns)) == [64, 96]
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    assert summary['left_out']['nodata'] == 6


def test_nodata_within_tiles_is_ignored(raw, call, tmp_path):
    path = raw / 's0_B.tif'
    pixels = read(path)
    pixels[:, 25:35, 35:45] = 0
    write(path, pixels, nodata=0)
    assert call(raw, '--max-nodata', 0.9) is None
    row, = [row for row in table(tmp_path / 'out')
            if row['name'] == 's0_y00000_x00032']
    label = read(tmp_path / 'out' / row['split'] / 'label'
                 / 's0_y00000_x00032.png')[0]
    assert (label[25:32, 3:13] == 255).all()
    assert set(np.unique(label)) == {0, 1, 255}
    assert (label == 255).sum() == 70


def test_black_tiles_are_left_out(raw, call, tmp_path):
    path = raw / 's0_D.tif'
    pixels = read(path)
    pixels[:, :32, :32] = 3
    write(path, pixels)
    assert call(raw) is None
    assert len(table(tmp_path / 'out')) == 47
    assert call(raw, '--black-level', 2, '--force') is None
    assert len(table(tmp_path / 'out')) == 48


def test_values_of_change(raw, call, tmp_path):
    """The labels of the four scenes use 1, 2, 3 and 4."""
    assert call(raw, '--changed', 2, 4) is None
    changed = {row['scene'] for row in table(tmp_path / 'out')
               if float(row['changed'])}
    assert changed == {'s1', 's3'}


# depth ---------------------------------------------------------------------


@pytest.fixture
def deep(raw):
    """B as 16 bit, 100 times its value."""
    for index in range(4):
        path = raw / f's{index}_B.tif'
        write(path, read(path).astype(np.uint16) * 100,
              from_origin(LEFT + 50000 * index, TOP, 10, 10))
    return raw


def test_original_depth(deep, call, tmp_path):
    assert call(deep) is None
    row = table(tmp_path / 'out')[0]
    found = read(tmp_path / 'out' / row['split'] / 'B'
                 / f'{row["name"]}.tif')
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(
        found, read(deep / 's0_B.tif')[:, :32, :32])
    assert '--format png: the images are not' in call(
        deep, '--format', 'png', '--force')


def test_eight_bit(deep, call, tmp_path):
    assert call(deep, '--depth', 8, '--range', 'B=1000,25500') is None
    row = table(tmp_path / 'out')[0]
    found = read(tmp_path / 'out' / row['split'] / 'B'
                 / f'{row["name"]}.png')
    values = read(deep / 's0_B.tif')[:, :32, :32].astype(float)
    np.testing.assert_allclose(found, (values - 1000) / 24500 * 255,
                               atol=0.51)
    assert call(deep, '--depth', 8, '--force') is None
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    every = np.concatenate([read(deep / f's{i}_B.tif').ravel()
                            for i in range(4)])
    assert summary['options']['limits'] == {
        'B': pytest.approx(np.percentile(every, (0.5, 99.5)).tolist())}


# splits --------------------------------------------------------------------


def distances(rows, size):
    """Least distance, in pixels, of tiles of different splits of a scene."""
    found = []
    for one in rows:
        for other in rows:
            if one['scene'] == other['scene'] and one['split'] < other[
                    'split']:
                gaps = [max(0, abs(int(one[key]) - int(other[key])) - size)
                        for key in ('row', 'column')]
                found.append(max(gaps))
    return found


@pytest.mark.parametrize('stride', [32, 16])
def test_blocks_keep_apart(call, tmp_path, stride):
    make_scene(tmp_path / 'raw', 'one', 0, shape=(320, 320))
    assert call(tmp_path / 'raw', '--split', 'blocks', '--block', 96,
                '--stride', stride) is None
    found = distances(table(tmp_path / 'out'), 32)
    # Touching tiles have the distance 0.
    assert found and min(found) > 0
    assert call(tmp_path / 'raw', '--split', 'blocks', '--block', 96,
                '--stride', stride, '--gap', 40, '--force') is None
    assert min(distances(table(tmp_path / 'out'), 32)) >= 40


def test_scenes_of_one_place_stay_together(raw, call, tmp_path):
    make_scene(raw, 'again', 9, left=LEFT + 600)
    for seed in range(4):
        assert call(raw, '--seed', seed, '--force') is None
        split = {row['scene']: row['split']
                 for row in table(tmp_path / 'out')}
        assert len(split) == 5
        assert split['again'] == split['s0']


def test_too_few_scenes(tmp_path, call):
    make_scene(tmp_path / 'raw', 'one', 0)
    assert '1 groups of tiles are too few for the splits train, val, test; ' \
        '--split blocks' in call(tmp_path / 'raw')
    assert not (tmp_path / 'out').exists()


def test_assign():
    ratios = dict(train=.7, val=.15, test=.15)
    assert sorted(assign([5, 5, 5], ratios, 0)) == ['test', 'train', 'val']
    found = assign([10] * 20, ratios, 1)
    assert [found.count(split) for split in ratios] == [14, 3, 3]
    assert assign([1, 2], dict(train=1., val=0.), 0) == ['train', 'train']
    assert assign([10] * 20, ratios, 1) != assign([10] * 20, ratios, 2)


def test_starts():
    assert starts(10, 16, 16) == []
    assert starts(16, 16, 16) == [0]
    assert starts(48, 16, 16) == [0, 16, 32]
    assert starts(50, 16, 16) == [0, 16, 32, 34]
    assert starts(33, 16, 8) == [0, 8, 16, 17]


# the authors' way ----------------------------------------------------------


def test_as_authors(call, tmp_path):
    """560 x 800: 2 x 3 tiles of 512, stride 256, padded."""
    make_scene(tmp_path / 'raw', 'x', 0, shape=(560, 800))
    label = read(tmp_path / 'raw/x_E.tif')
    (tmp_path / 'raw/x_E.tif').unlink()
    cv2.imwrite(str(tmp_path / 'raw/x_E.png'), label[0, :558, :799])
    assert call(tmp_path / 'raw', '--as-authors') is None
    rows = table(tmp_path / 'out')
    names = {row['name'] for row in rows}
    assert names == {f'x_original_x{x}_y{y}' for x in (0, 256, 512)
                     for y in (0, 256)}
    by_split = {split: {row['name'] for row in rows if row['split'] == split}
                for split in ('train', 'val', 'test')}
    assert by_split['val'] == by_split['test'] != set()
    assert not by_split['val'] & by_split['train']
    last = next((tmp_path / 'out').glob('*/A/x_original_x512_y256.png'))
    found = read(last)
    source = read(tmp_path / 'raw/x_A.tif')
    np.testing.assert_array_equal(found[:, :302, :287],
                                  source[:, 256:558, 512:799])
    assert not found[:, 302:].any() and not found[:, :, 287:].any()


def test_authors_leave_out_sizes_and_repetitions(call, tmp_path):
    make_scene(tmp_path / 'raw', 'a', 0, shape=(512, 512))
    make_scene(tmp_path / 'raw', 'b', 1, shape=(512, 512), left=LEFT + 500)
    make_scene(tmp_path / 'raw', 'c', 2, shape=(512, 512), left=LEFT + 5120)
    make_scene(tmp_path / 'raw', 'd', 3, shape=(512, 512), left=LEFT + 90000)
    write(tmp_path / 'raw/d_B.tif', np.ones((512, 515), np.uint8))
    (tmp_path / 'raw/c_D.tif').rename(tmp_path / 'raw/e_D.tif')
    make_scene(tmp_path / 'raw', 'f', 4, shape=(512, 512), left=LEFT - 50000)
    # Black in A alone counts.
    write(tmp_path / 'raw/f_A.tif', np.full((3, 512, 512), 5, np.uint8),
          from_origin(LEFT - 50000, TOP, 10, 10))
    assert call(tmp_path / 'raw', '--as-authors') is None
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    assert summary['left_out'] == dict(black=1, repeated=1, sizes=1)
    assert summary['incomplete_scenes'] == ['c', 'e']


def test_authors_split_is_greedy():
    """By hand: shares of tiles and of change, one tile after the other."""
    changes = [0., .1, .2, .3, .4]
    tiles = [Tile(0, 0, index, 1., 0., change)
             for index, change in enumerate(changes)]
    order = np.random.RandomState(666).permutation(5)
    share, in_val, expected = 0.2, [], []
    for position, index in enumerate(order, 1):
        options = []
        for members in (in_val + [changes[index]], in_val):
            mean = sum(members) / len(members) if members else 0.
            options.append(abs(len(members) / position - .2)
                           + abs(mean - share))
        if options[0] < options[1] or (options[0] == options[1]
                                       and len(in_val) < .2 * position):
            in_val.append(changes[index])
            expected.append((index, 'val'))
        else:
            expected.append((index, 'train'))
    found = prepare._authors_split(tiles)
    assert [(tile.column, tile.split) for tile in found] == expected
    assert in_val


# what is refused -----------------------------------------------------------


@pytest.mark.parametrize('arguments, part', [
    (('--pattern', '{name}.tif'), 'expected {name} and {role}'),
    (('--pattern', '{name}-{role}.tif'), 'no scene fits'),
    (('--roles', 'A=A', 'B=B'), 'expected A, B and label'),
    (('--roles', 'X=A',), 'expected one of A, B, C, label'),
    (('--range', 'B=1,2'), '--range goes with --depth 8'),
    (('--range', 'B=2,1', '--depth', '8'), 'the lower first'),
    (('--max-nodata', '2'), 'max_nodata 2.0: expected 0 to 1'),
    (('--gap', '0'), 'gap 0'),
    (('--size', '500'), "no tile is left: {'nodata': 0"),
])
def test_refuses(raw, call, tmp_path, arguments, part):
    message = call(raw, *arguments)
    assert message.startswith('error: ') and part in message
    assert not (tmp_path / 'out').exists()


def test_incomplete_scene(raw, call, tmp_path):
    (raw / 's1_D.tif').unlink()
    assert 'scene s1 has no C' in call(raw)
    assert call(raw, '--skip-incomplete', '--dry-run') is None
    assert not (tmp_path / 'out').exists()


def test_two_files_for_one_role(raw, call):
    cv2.imwrite(str(raw / 's1_E.png'), np.zeros((4, 4), np.uint8))
    assert 'are both label of s1' in call(raw)


def test_label_of_another_size_without_georeference(raw, call):
    (raw / 's1_E.tif').unlink()
    cv2.imwrite(str(raw / 's1_E.png'), np.zeros((4, 4), np.uint8))
    assert 's1_E.png has no CRS' in call(raw)


def test_scenes_without_any_georeference(tmp_path, call):
    for index in range(3):
        make_scene(tmp_path / 'raw', f's{index}', index, crs=None)
    assert call(tmp_path / 'raw') is None
    assert len(table(tmp_path / 'out')) == 36
    write(tmp_path / 'raw/s1_B.tif', np.ones((95, 128), np.uint8), crs=None)
    assert 'differ in size' in call(tmp_path / 'raw', '--force')


def test_truncated_scene(raw, call):
    path = raw / 's2_B.tif'
    path.write_bytes(path.read_bytes()[:3000])
    message = call(raw)
    assert 's2_B.tif cannot be read' in message


def test_other_patterns(tmp_path):
    for name in ('a', 'b'):
        for folder in ('opt', 'sar', 'gt'):
            write(tmp_path / folder / f'{name}.tif',
                  np.ones((4, 4), np.uint8))
    scenes, _ = prepare.find_scenes(
        tmp_path, '{role}/{name}.tif', dict(A='opt', B='sar', label='gt'))
    assert [scene.name for scene in scenes] == ['a', 'b']
    assert scenes[0].paths['B'] == tmp_path / 'sar/a.tif'


def test_options_are_checked():
    with pytest.raises(ConversionError, match='size 0'):
        PrepareOptions(size=0)
