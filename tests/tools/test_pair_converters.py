"""Cropping, splitting, lists and statistics, on small trees made here."""
import re
import shutil

import cv2
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from running import run_tool

from opencd_gold.datasets.converting import ConversionError
from opencd_gold.datasets.cropping import share_out, shares_to_counts, starts

TOOLS = ('crop_pairs', 'split_pairs', 'split_scenes', 'make_lists',
         'mean_std')
FOLDERS = ('A', 'B', 'label')


def run(monkeypatch, tool, *arguments):
    return run_tool(monkeypatch, f'tools/dataset_converters/{tool}.py',
                    *arguments)


def tree(root):
    return sorted(path.relative_to(root).as_posix()
                  for path in root.rglob('*') if not path.is_dir())


def numbered(height, width, bands=3):
    """An image whose values tell where a pixel lies."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return np.stack([rows, columns, rows + columns][:bands], axis=-1)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def pairs(tmp_path):
    """Two splits of two pairs of 20 x 16 pixels."""
    root = tmp_path / 'pairs'
    for split in ('train', 'test'):
        for folder in FOLDERS:
            for i in range(2):
                image = numbered(20, 16, 1 if folder == 'label' else 3)
                write(root / split / folder / f'{i}.png', image + i)
    return root


@pytest.mark.parametrize('tool', TOOLS)
def test_help(monkeypatch, capsys, tool):
    assert run(monkeypatch, tool, '--help') is None
    shown = capsys.readouterr().out
    assert '--force' in shown
    assert '--dry-run' in shown


@pytest.mark.parametrize('length, size, overlap, edge, expected', [
    (16, 8, 0, 'align', [0, 8]), (20, 8, 0, 'align', [0, 8, 12]),
    (20, 8, 0, 'drop', [0, 8]), (16, 8, 4, 'align', [0, 4, 8]),
    # SGSLN: (P - S) // (S - V) + 1 patches.
    (1024, 256, 128, 'drop', list(range(0, 769, 128))),
    (7, 8, 0, 'align', []), (8, 8, 0, 'drop', [0])])
def test_starts(length, size, overlap, edge, expected):
    assert starts(length, size, overlap, edge) == expected


@pytest.mark.parametrize('arguments', [(8, 8), (0, 0), (8, -1),
                                       (8, 0, 'wrap')])
def test_no_grid(arguments):
    with pytest.raises(ConversionError):
        starts(16, *arguments)


def test_shares():
    assert shares_to_counts(19, [7, 2, 1]) == [13, 3, 3]
    assert shares_to_counts(10, [0.6, 0.3, 0.1]) == [6, 3, 1]
    with pytest.raises(ConversionError, match='not all 0'):
        shares_to_counts(3, [0, 0])


def test_share_out():
    assert share_out('abcdef', [1, 2]) == [['a'], ['b', 'c']]
    parts = share_out(range(10), [7, 2, 1], seed=42)
    assert parts == share_out(range(10), [7, 2, 1], seed=42)
    assert parts != share_out(range(10), [7, 2, 1], seed=43)
    assert sorted(sum(parts, [])) == list(range(10))
    with pytest.raises(ConversionError, match='no more'):
        share_out('ab', [2, 1])


def test_crop(monkeypatch, tmp_path, pairs):
    out = tmp_path / 'out'
    assert run(monkeypatch, 'crop_pairs', pairs, out, '--size', 8,
               '--overlap', 4) is None
    # 20 rows from 0, 4, 8, 12; 16 columns from 0, 4, 8; test: 0, 8, 12.
    assert len(tree(out / 'train' / 'A')) == 2 * 4 * 3
    names = tree(out / 'test' / 'label')
    assert names == sorted(
        f'{i}_{top}_{top + 8}_{left}_{left + 8}.png'
        for i in range(2) for top in (0, 8, 12) for left in (0, 8))
    for folder in FOLDERS:
        patch = cv2.imread(str(out / 'test' / folder / '1_12_20_8_16.png'),
                           cv2.IMREAD_UNCHANGED)
        whole = cv2.imread(str(pairs / 'test' / folder / '1.png'),
                           cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(patch, whole[12:20, 8:16])


def test_crop_drops_the_rest(monkeypatch, tmp_path, pairs):
    assert run(monkeypatch, 'crop_pairs', pairs / 'test', tmp_path / 'out',
               '--size', 8, '--edge', 'drop') is None
    assert len(tree(tmp_path / 'out' / 'A')) == 2 * 2 * 2


def write_tif(path, image, **profile):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, count = image.shape
    with rasterio.open(
            path, 'w', driver='GTiff', height=height, width=width,
            count=count, dtype=image.dtype, **profile) as file:
        file.write(image.transpose(2, 0, 1))


def test_crop_keeps_the_georeference(monkeypatch, tmp_path):
    root = tmp_path / 'scene'
    transform = from_origin(500000, 4600000, 0.5, 0.5)
    image = numbered(20, 16).astype(np.uint16) * 100
    for folder in ('2014', '2018', 'label'):
        write_tif(root / folder / 'nj.tif', image, crs='EPSG:32650',
                  transform=transform, nodata=7)
    assert run(monkeypatch, 'crop_pairs', root, tmp_path / 'out', '--size',
               8, '--folders', '2014', '2018', 'label') is None
    path = tmp_path / 'out' / '2018' / 'nj_12_20_8_16.tif'
    with rasterio.open(path) as patch:
        assert patch.crs.to_epsg() == 32650
        assert patch.transform == from_origin(
            500000 + 8 * 0.5, 4600000 - 12 * 0.5, 0.5, 0.5)
        assert patch.nodata == 7
        assert patch.dtypes == ('uint16', ) * 3
        np.testing.assert_array_equal(
            patch.read(), image.transpose(2, 0, 1)[:, 12:20, 8:16])


def test_crop_keeps_colours_of_a_palette(monkeypatch, tmp_path):
    for folder in FOLDERS:
        path = tmp_path / 'in' / folder / 'x.tif'
        write_tif(path, numbered(8, 8, 1) % 2)
        with rasterio.open(path, 'r+') as file:
            file.write_colormap(1, {0: (0, 0, 0, 255), 1: (255, 0, 0, 255)})
    assert run(monkeypatch, 'crop_pairs', tmp_path / 'in', tmp_path / 'out',
               '--size', 4) is None
    with rasterio.open(tmp_path / 'out/label/x_4_8_0_4.tif') as patch:
        assert patch.colormap(1)[1] == (255, 0, 0, 255)


def test_crop_refuses(monkeypatch, tmp_path, pairs):
    out = tmp_path / 'out'
    error = run(monkeypatch, 'crop_pairs', pairs, out, '--size', 32)
    assert re.search(r'train/A/0.png: smaller than a patch of 32', error)
    write(pairs / 'train/B/1.png', numbered(16, 20))
    error = run(monkeypatch, 'crop_pairs', pairs, out, '--size', 8)
    assert 'train/B/1.png 16 x 20' in error
    (pairs / 'train/B/1.png').unlink()
    error = run(monkeypatch, 'crop_pairs', pairs, out, '--size', 8)
    assert error == (
        'error: 1 of 6 files are missing, first: 1 in B; files of one sample '
        'need the same name in every folder')
    assert not out.exists()


def test_split(monkeypatch, tmp_path, pairs):
    root = tmp_path / 'flat'
    for folder in FOLDERS:
        for i in range(10):
            write(root / folder / f'{i}.png', numbered(4, 4))
    out = tmp_path / 'out'
    assert run(monkeypatch, 'split_pairs', root, out) is None
    parts = {split: tree(out / split / 'A')
             for split in ('train', 'val', 'test')}
    assert [len(part) for part in parts.values()] == [7, 2, 1]
    assert sorted(sum(parts.values(), [])) == [f'{i}.png' for i in range(10)]
    for split, names in parts.items():
        assert tree(out / split / 'label') == names
    assert parts['train'] != [f'{i}.png' for i in range(7)]


def test_split_in_order_by_counts_and_links(monkeypatch, tmp_path, pairs):
    out = tmp_path / 'out'
    assert run(monkeypatch, 'split_pairs', pairs / 'train', out, '--names',
               'train', 'val', '--counts', 1, 1, '--in-order',
               '--link') is None
    assert tree(out / 'val') == [f'{folder}/1.png' for folder in FOLDERS]
    assert (out / 'val/A/1.png').is_symlink()


def test_patches_of_a_scene_stay_together(monkeypatch, tmp_path, pairs):
    cut, out = tmp_path / 'cut', tmp_path / 'out'
    assert run(monkeypatch, 'crop_pairs', pairs / 'train', cut, '--size',
               8) is None
    assert run(monkeypatch, 'split_pairs', cut, out, '--names', 'train',
               'val', '--shares', 1, 1, '--by-scene') is None
    for split in ('train', 'val'):
        names = tree(out / split / 'A')
        assert len(names) == 6
        assert len({name[0] for name in names}) == 1


def test_split_refuses(monkeypatch, tmp_path, pairs):
    error = run(monkeypatch, 'split_pairs', pairs / 'train', tmp_path / 'o',
                '--shares', 1, 1)
    assert 'expected one each' in error
    error = run(monkeypatch, 'split_pairs', pairs / 'train', tmp_path / 'o',
                '--counts', 2, 2, 2)
    assert '[2, 2, 2] of 2' in error


@pytest.fixture
def scenes(tmp_path):
    """Ten scenes of 17 x 26 pixels, one as large as a patch, one more."""
    root = tmp_path / 'scenes'
    for i in range(11):
        size = (8, 8) if i == 10 else (17, 26)
        write(root / f's{i}/im1.jpg', numbered(*size))
        write(root / f's{i}/im2.jpg', numbered(*size))
        write(root / f's{i}/ref.png', numbered(*size, 1) + i)
    (root / 'other').mkdir()
    return root


def test_scenes(monkeypatch, tmp_path, scenes):
    out = tmp_path / 'out'
    assert run(monkeypatch, 'split_scenes', scenes, out, '--size', 8) is None
    seen = {}
    for split in ('train', 'val', 'test'):
        names = tree(out / split / 'A')
        assert names == tree(out / split / 'B') == tree(out / split / 'label')
        listed = (out / split / f'list/{split}.txt').read_text().split()
        assert sorted(listed) == names
        # Two rows and three columns of patches a scene, rests left out.
        seen[split] = {name.split('_')[0] for name in names}
        assert len(names) == 6 * len(seen[split])
    assert [len(part) for part in seen.values()] == [6, 3, 1]
    assert set.union(*seen.values()) == {f's{i}' for i in range(10)}
    scene = next(iter(seen['test']))
    label = cv2.imread(
        str(out / f'test/label/{scene}_8_16_16_24.png'),
        cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(
        label, (numbered(17, 26, 1)[8:16, 16:24, 0] + int(scene[1:])))


def test_scenes_refuses(monkeypatch, tmp_path, scenes):
    error = run(monkeypatch, 'split_scenes', scenes, tmp_path / 'out')
    assert 'larger than 512 pixels; found 11 of any size' in error
    error = run(monkeypatch, 'split_scenes', tmp_path / 'none', tmp_path)
    assert error.endswith('none: no such folder')


def test_lists(monkeypatch, pairs):
    assert run(monkeypatch, 'make_lists', pairs) is None
    for split in ('train', 'test'):
        text = (pairs / split / f'list/{split}.txt').read_text()
        assert text == '0.png\n1.png\n'
    error = run(monkeypatch, 'make_lists', pairs)
    assert 'test/list: already holds test.txt' in error
    assert run(monkeypatch, 'make_lists', pairs, '--force') is None


def test_lists_of_others_stay(monkeypatch, pairs):
    mine = pairs / 'train/list/mine.txt'
    mine.parent.mkdir()
    mine.write_text('1.png\n')
    assert run(monkeypatch, 'make_lists', pairs) is None
    (pairs / 'train/list/train.txt').write_text('old')
    assert run(monkeypatch, 'make_lists', pairs, '--force') is None
    assert mine.read_text() == '1.png\n'
    assert (pairs / 'train/list/train.txt').read_text() == '0.png\n1.png\n'


def test_lists_need_splits(monkeypatch, pairs):
    error = run(monkeypatch, 'make_lists', pairs / 'train')
    assert 'holds none of the splits train, val, test' in error


@pytest.mark.parametrize('pooled', [False, True])
def test_mean_std(monkeypatch, tmp_path, pairs, pooled):
    rng = np.random.default_rng(0)
    expected = {'mean': [], 'std': []}
    for folder in ('A', 'B'):
        images = []
        for i in range(2):
            image = rng.integers(0, 200 // (i + 1), (20, 16, 3), np.uint8)
            write(pairs / 'train' / folder / f'{i}.png', image)
            images.append(image[..., ::-1].reshape(-1, 3).astype(float))
        stacked = np.stack(images)
        expected['mean'].append(stacked.mean((0, 1)))
        expected['std'].append(stacked.std((0, 1)) if pooled else
                               stacked.std(1).mean(0))
    out = tmp_path / 'lines.txt'
    options = ['--pooled'] if pooled else []
    assert run(monkeypatch, 'mean_std', pairs / 'train', '--out', out,
               *options) is None
    found = eval(f'dict({out.read_text()})')
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, atol=6e-4)
    error = run(monkeypatch, 'mean_std', pairs / 'train', '--out', out)
    assert error.endswith('lines.txt: exists; --force replaces it')


def test_mean_std_without_what_is_missing(monkeypatch, tmp_path):
    image = np.full((4, 4, 1), 9, np.uint8)
    image[0] = 0
    for folder in ('A', 'B'):
        write_tif(tmp_path / folder / 'x.tif', image, nodata=0)
    out = tmp_path / 'lines.txt'
    assert run(monkeypatch, 'mean_std', tmp_path, '--out', out) is None
    assert out.read_text() == 'mean=[[9.0], [9.0]],\nstd=[[0.0], [0.0]],\n'


def test_dry_run_writes_nothing(monkeypatch, tmp_path, pairs, scenes):
    before = tree(tmp_path)
    out = tmp_path / 'out'
    for tool, *arguments in (
            ('crop_pairs', pairs, out, '--size', 8),
            ('split_pairs', pairs / 'train', out),
            ('split_scenes', scenes, out, '--size', 8),
            ('make_lists', pairs),
            ('mean_std', pairs / 'train', '--out', out)):
        for force in ([], ['--force']):
            assert run(monkeypatch, tool, *arguments, '--dry-run',
                       *force) is None
    assert tree(tmp_path) == before


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob('*') if not path.is_dir()}


def spoil(path):
    """Make pixels unreadable; the head of the file still says its size."""
    data = bytearray(path.read_bytes())
    start = data.index(b'IDAT') + 4
    data[start:start + 20] = bytes(20)
    path.write_bytes(data)


def test_a_failure_leaves_the_old_result(monkeypatch, tmp_path, pairs):
    out = tmp_path / 'out'
    spoil(pairs / 'train/B/1.png')
    error = run(monkeypatch, 'crop_pairs', pairs, out, '--size', 8)
    assert error == f'error: {pairs}/train/B/1.png: cannot be read as an image'
    assert not out.exists()
    (pairs / 'test').rename(tmp_path / 'test')
    assert run(monkeypatch, 'crop_pairs', tmp_path, out, '--size', 8) is None
    (tmp_path / 'test').rename(pairs / 'test')
    (out / 'test/A/notes.txt').write_text('mine')
    before = contents(out)
    assert 'cannot be read' in run(
        monkeypatch, 'crop_pairs', pairs, out, '--size', 4, '--force')
    assert contents(out) == before
    assert sorted(path.name for path in out.rglob('*') if path.is_dir()) == [
        'A', 'B', 'label', 'test']


def test_a_failed_exchange_is_taken_back(monkeypatch, tmp_path, pairs):
    out = tmp_path / 'out'
    assert run(monkeypatch, 'crop_pairs', pairs, out, '--size', 8) is None
    before = contents(out)
    calls = []

    def move(source, target, move=shutil.move):
        calls.append(target)
        if len(calls) == len(before) + 2:
            raise OSError('no space')
        return move(source, target)

    monkeypatch.setattr('shutil.move', move)
    assert run(monkeypatch, 'crop_pairs', pairs, out, '--size', 4,
               '--force') == 'error: no space'
    assert contents(out) == before


def test_what_is_no_image_stays(monkeypatch, tmp_path, pairs):
    out = tmp_path / 'out'
    (out / 'train/A/deep').mkdir(parents=True)
    (out / 'train/A/deep/x.png').write_text('mine')
    (out / 'train/A/notes.txt').write_text('mine')
    assert run(monkeypatch, 'crop_pairs', pairs, out, '--size', 8) is None
    assert run(monkeypatch, 'crop_pairs', pairs, out, '--size', 4,
               '--force') is None
    kept = {'train/A/deep/x.png', 'train/A/notes.txt'}
    assert kept <= set(tree(out))
    assert 'train/A/0_0_8_0_8.png' not in tree(out)
    assert len(tree(out / 'train/A')) == 2 + 2 * 5 * 4


def test_nothing_is_overwritten_without_force(monkeypatch, tmp_path, pairs):
    out = tmp_path / 'out'
    write(out / 'train/A/mine.png', numbered(4, 4))
    error = run(monkeypatch, 'crop_pairs', pairs, out, '--size', 8)
    assert 'already holds mine.png' in error
    assert tree(out) == ['train/A/mine.png']
    assert run(monkeypatch, 'crop_pairs', pairs, out, '--size', 8,
               '--force') is None
    assert 'train/A/mine.png' not in tree(out)
