"""Cropping, splitting, lists and statistics, on small trees made here."""
import itertools
import re
import shlex
import shutil

import cv2
import numpy as np
import pytest
import rasterio
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image
from rasterio.transform import from_origin
from running import ROOT, run_tool

from opencd_gold.datasets.converting import ConversionError
from opencd_gold.datasets.cropping import (
    Window,
    find_overlaps,
    read_name,
    share_out,
    share_out_bands,
    shares_to_counts,
    starts,
)
from opencd_gold.datasets.reading import read_label
from opencd_gold.registry import DATASETS

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


@pytest.mark.parametrize('stem, image, window', [
    ('train_645_512_1024_0_512', 'train_645', Window(512, 0, 512)),
    ('s_0_8_16_24', 's', Window(0, 16, 8)),
    # A date, no window, and no image.
    ('tile_2014_05_06_12', 'tile_2014_05_06_12', None),
    ('s_0_8_0_9', 's_0_8_0_9', None), ('0_8_0_8', '0_8_0_8', None),
    ('7', '7', None)])
def test_names_of_patches(stem, image, window):
    assert read_name(stem) == (image, window)


def test_overlaps():
    parts = dict(a=['x_0_8_0_8', 'y_0_8_0_8', 'z_0_8_0_8', 'plain'],
                 b=['x_8_16_0_8', 'x_7_15_7_15', 'z_0_8_8_16'])
    assert find_overlaps(parts) == [
        ('a/x_0_8_0_8', 'b/x_7_15_7_15'), ('b/x_7_15_7_15', 'a/x_0_8_0_8')]


def test_bands():
    stems = [f'x_{top}_{top + 8}_{left}_{left + 8}'
             for top in (0, 8, 16, 24, 28) for left in (0, 8)]
    first, second = share_out_bands(stems, [3, 2])
    assert first == stems[:6]
    assert second == stems[6:]
    # The row at 24 reaches into the one at 28.
    first, none, last = share_out_bands(stems, [4, 0, 1])
    assert (first, none, last) == (stems[:6], [], stems[8:])
    with pytest.raises(ConversionError, match='plain: expected names'):
        share_out_bands([*stems, 'plain'], [1, 1])


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


def write_palette(path, indices, colours):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(indices)
    image.putpalette(sum(colours, ()))
    image.save(path)


def load(base, root, split='train'):
    """A data set of a config, on another root."""
    init_default_scope('opencd_gold')
    cfg = Config.fromfile(ROOT / f'configs/_base_/datasets/{base}.py')
    dataset = cfg[f'{split}_dataloader']['dataset']
    dataset['data_root'] = str(root)
    return DATASETS.build(dataset)


def test_crop_of_labels_with_a_palette(monkeypatch, tmp_path):
    """As in VOC: 0 black, 1 dark red; images are read as colours."""
    root = tmp_path / 'in'
    indices = (numbered(8, 8, 1)[..., 0] % 3 == 0).astype(np.uint8)
    for split, folder in itertools.product(('train', 'val'), 'AB'):
        write(root / split / folder / 'x.png', numbered(8, 8))
        write_palette(root / split / folder / 'y.png', indices,
                      [(9, 8, 7), (30, 40, 50)])
    for split, stem in itertools.product(('train', 'val'), 'xy'):
        write_palette(root / split / f'label/{stem}.png', indices,
                      [(0, 0, 0), (128, 0, 0)])
    out = tmp_path / 'out'
    assert run(monkeypatch, 'crop_pairs', root, out, '--size', 4) is None
    np.testing.assert_array_equal(
        read_label(str(out / 'train/label/x_4_8_0_4.png')),
        indices[4:, :4])
    data = load('pair_256x256', out, 'val')
    assert len(data) == 8
    by_name = {sample['data_samples'].seg_map_path: sample for sample in (
        data[i] for i in range(8))}
    sample = by_name[f'{out}/val/label/y_0_4_4_8.png']
    expected = np.array([(9, 8, 7), (30, 40, 50)])[indices[:4, 4:]]
    np.testing.assert_array_equal(
        sample['inputs'][:3].permute(1, 2, 0), expected)
    np.testing.assert_array_equal(
        sample['data_samples'].gt_sem_seg.data[0], indices[:4, 4:])


@pytest.mark.parametrize('cut', [False, True])
def test_dsifn_as_released_and_cut(monkeypatch, tmp_path, cut):
    """JPEG images and TIFF masks of 512; PNG and TIFF patches of 256."""
    root = tmp_path / 'DSIFN'
    for split, (folder, suffix) in itertools.product(
            ('train', 'test'),
            (('t1', 'jpg'), ('t2', 'jpg'), ('mask', 'tif'))):
        image = numbered(512, 512, 1 if suffix == 'tif' else 3)
        if suffix == 'tif':
            image = (image > 99).astype(np.uint8) * 255
        write(root / split / folder / f'0.{suffix}', image)
    if cut:
        assert run(monkeypatch, 'crop_pairs', root, tmp_path / 'cut',
                   '--size', 256, '--folders', 't1', 't2', 'mask') is None
        root = tmp_path / 'cut'
    data = load('dsifn_256x256', root)
    assert len(data) == (4 if cut else 1)
    assert data[0]['inputs'].shape == (6, 256, 256)
    sample = load('dsifn_256x256', root, 'test')[0]
    assert sample['inputs'].shape == (6, ) + (256 if cut else 512, ) * 2


@pytest.mark.parametrize('name', ['Train', 'VAL'])
def test_splits_in_another_case(monkeypatch, tmp_path, pairs, name):
    (pairs / 'train').rename(pairs / name)
    out = tmp_path / 'out'
    for tool, *arguments in (('crop_pairs', pairs, out, '--size', 8),
                             ('make_lists', pairs)):
        error = run(monkeypatch, tool, *arguments)
        assert f'{pairs}: holds {name}, expected names of splits' in error
        assert not out.exists()
    assert run(monkeypatch, 'crop_pairs', pairs, out, '--size', 8,
               '--splits', name, 'test') is None
    assert len(tree(out / name / 'A')) == 2 * 3 * 2


def test_other_splits_are_named(monkeypatch, tmp_path, pairs, capsys):
    (pairs / 'train').rename(pairs / 'training')
    out = tmp_path / 'out'
    assert run(monkeypatch, 'crop_pairs', pairs, out, '--size', 8) is None
    assert 'left out training, not of the splits' in capsys.readouterr().out
    (pairs / 'test').rename(pairs / 'testing')
    error = run(monkeypatch, 'crop_pairs', pairs, out, '--size', 8)
    assert (f'{pairs}: expected {{train,val,test}}/{{A,B,label}} or '
            '{A,B,label} in it, found the folders testing, training') in error
    error = run(monkeypatch, 'crop_pairs', pairs / 'none', out, '--size', 8)
    assert error == f'error: {pairs}/none: no such folder'
    (pairs / 'testing').rename(pairs / 'test')
    (pairs / 'test/label').rename(pairs / 'test/Label')
    error = run(monkeypatch, 'crop_pairs', pairs, out, '--size', 8)
    assert 'test/label: no such folder, but there is Label' in error


def test_overlap_that_no_split_has(monkeypatch, tmp_path, pairs):
    (pairs / 'train').rename(pairs / 'fit')
    error = run(monkeypatch, 'crop_pairs', pairs, tmp_path / 'out', '--size',
                8, '--overlap', 4, '--splits', 'fit', 'test')
    assert '--overlap 4 is for the splits train, found fit, test' in error
    assert run(monkeypatch, 'crop_pairs', pairs, tmp_path / 'out', '--size',
               8, '--overlap', 4, '--splits', 'fit', 'test',
               '--overlap-splits', 'fit') is None


def test_names_that_differ(monkeypatch, tmp_path):
    root = tmp_path / 'NJDS'
    for folder, name in (('2014', '2014'), ('2018', '2018'),
                         ('label', 'change')):
        write_tif(root / folder / f'{name}.tif', numbered(8, 8))
    error = run(monkeypatch, 'crop_pairs', root, tmp_path / 'out', '--size',
                4, '--folders', '2014', '2018', 'label')
    assert '6 of 9 files are missing' in error
    assert 'files of one sample need the same name in every folder' in error
    assert (f'found {root}/2014/2014.tif, {root}/2018/2018.tif, '
            f'{root}/label/change.tif') in error


def test_crop_of_a_damaged_geotiff(monkeypatch, tmp_path):
    for folder in FOLDERS:
        write_tif(tmp_path / 'in' / folder / 'x.tif', numbered(64, 64),
                  compress='deflate')
    path = tmp_path / 'in/B/x.tif'
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[:half] + bytes(len(data) - half))
    error = run(monkeypatch, 'crop_pairs', tmp_path / 'in', tmp_path / 'out',
                '--size', 8)
    assert error.startswith(f'error: {path}: cannot be read as an image')
    assert not (tmp_path / 'out').exists()


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


def test_one_scene_is_cut_to_bands(monkeypatch, tmp_path, capsys):
    """Rows at 0, 8, ..., 72 and, aligned to the edge, at 76."""
    cut, out = tmp_path / 'cut', tmp_path / 'out'
    for folder in FOLDERS:
        write(tmp_path / 'in' / folder / 'nj.png', numbered(84, 20))
    assert run(monkeypatch, 'crop_pairs', tmp_path / 'in', cut, '--size',
               8) is None
    assert run(monkeypatch, 'split_pairs', cut, out, '--by-band') is None
    rows = {split: sorted({read_name(name[:-4])[1].top for name in
                           tree(out / split / 'A')})
            for split in ('train', 'val', 'test')}
    assert rows == dict(train=list(range(0, 56, 8)), val=[56, 64],
                        test=[72, 76])
    assert '21 train, 6 val, 6 test, 0 left out' in capsys.readouterr().out
    assert run(monkeypatch, 'split_pairs', cut, out, '--by-band', '--force',
               '--shares', 8, 2, 1) is None
    # What reaches from 72 to 80 is in no split, the one at 76 is in test.
    assert '24 train, 3 val, 3 test, 3 left out' in capsys.readouterr().out
    for options, text in (
            (['--counts', 1, 1, 1], 'cuts by --shares, found --counts'),
            (['--shares', 99, 1, 1], 'val would be empty: 11 rows of patches '
             'for the shares 99 : 1 : 1; cut to smaller patches')):
        assert text in run(monkeypatch, 'split_pairs', cut, tmp_path / 'o',
                           '--by-band', *options)
    assert not (tmp_path / 'o').exists()


def test_no_split_is_empty(monkeypatch, tmp_path, pairs):
    cut, out = tmp_path / 'cut', tmp_path / 'out'
    assert run(monkeypatch, 'crop_pairs', pairs / 'train', cut, '--size', 8,
               '--edge', 'drop') is None
    error = run(monkeypatch, 'split_pairs', cut, out, '--by-scene')
    assert error.startswith(
        'error: val would be empty: 2 images for the shares 7 : 2 : 1; '
        'give --counts of images, cut each image with --by-band, or leave '
        'out --by-scene')
    for folder in FOLDERS:
        for path in (cut / folder).glob('1_*'):
            path.unlink()
    error = run(monkeypatch, 'split_pairs', cut, out, '--by-scene')
    assert 'train and val would be empty: 1 image for the shares' in error
    assert not out.exists()
    # Shares of nothing and counts may leave a split empty.
    assert run(monkeypatch, 'split_pairs', cut, out, '--by-scene',
               '--shares', 0, 0, 1) is None
    assert run(monkeypatch, 'split_pairs', cut, tmp_path / 'counted',
               '--counts', 3, 0, 1) is None
    assert set(tree(tmp_path / 'counted')) == set(
        name for name in tree(tmp_path / 'counted')
        if not name.startswith('val'))


def test_patches_of_two_splits_do_not_overlap(monkeypatch, tmp_path, pairs):
    """Rows at 0, 8 and 12: the last two share pixels."""
    cut, out = tmp_path / 'cut', tmp_path / 'out'
    assert run(monkeypatch, 'crop_pairs', pairs / 'train', cut, '--size',
               8) is None
    counts = ['--counts', 5, 4, 3, '--in-order']
    error = run(monkeypatch, 'split_pairs', cut, out, *counts)
    assert error.startswith(
        'error: 4 patches share pixels with one of another split, first: '
        'train/')
    assert '--allow-overlap' in error
    assert not out.exists()
    assert run(monkeypatch, 'split_pairs', cut, out, *counts,
               '--allow-overlap') is None
    assert len(tree(out)) == 3 * 12
    plain = tmp_path / 'plain'
    assert run(monkeypatch, 'crop_pairs', pairs / 'train', plain, '--size',
               8, '--edge', 'drop') is None
    assert run(monkeypatch, 'split_pairs', plain, tmp_path / 'drop',
               '--shares', 1, 1, 1) is None


@pytest.mark.parametrize('base, scene, folders, root, scenes', [
    ('njds_256x256', 'NJDS/{}/nj.tif', ('t1', 't2', 'label'), 'NJDS-256', 1),
    ('whu_cd_256x256', 'WHU-CD/{}/whu.tif', FOLDERS, 'WHU-CD-256', 1),
    ('whu_cd_512x512', 'WHU-CD/{}/whu.tif', FOLDERS, 'WHU-CD-512', 1),
    ('googlemap_256x256', 'GZ-CD/{}/{}.tif', ('T1', 'T2', 'labels_change'),
     'GZ-CD-256', 11)])
def test_commands_of_a_config(monkeypatch, tmp_path, base, scene, folders,
                              root, scenes):
    """What a data config says to run leads to what it loads."""
    monkeypatch.chdir(tmp_path)
    size = int(base[-3:])
    height = 10 * size + 40 if scenes == 1 else size
    image = numbered(height, size + 30)
    for folder, number in itertools.product(folders, range(scenes)):
        is_label = folder.startswith('label')
        write_tif(
            tmp_path / scene.format(folder, number),
            255 * (image[..., :1] > 99).astype('u1') if is_label else image)
    text = (ROOT / f'configs/_base_/datasets/{base}.py').read_text()
    commands = [shlex.split(line[1:])
                for line in text.replace('\\\n#', '').splitlines()
                if line.startswith('#   python ')]
    assert len(commands) >= 2
    for _, tool, *arguments in commands:
        assert run_tool(monkeypatch, tool, *arguments) is None
    parts = {}
    for split in ('train', 'val', 'test'):
        data = load(base, tmp_path / 'data' / root, split)
        assert data[0]['inputs'].shape == (6, size, size)
        parts[split] = [
            data.get_data_info(i)['seg_map_path'].split('/')[-1][:-4]
            for i in range(len(data))]
    # Eleven rows or scenes of two columns; two splits share no pixel.
    assert [len(stems) for stems in parts.values()] == [14, 4, 4]
    assert not find_overlaps(parts)


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


@pytest.mark.parametrize('suffix', ['jpg', 'tif'])
def test_grey_scenes_among_colour(monkeypatch, tmp_path, scenes, suffix,
                                  capsys):
    """Grey scenes of a date with colour get three bands, others stay."""
    out = tmp_path / 'out'
    for i in range(11):
        image = numbered(*cv2.imread(str(scenes / f's{i}/im1.jpg')).shape[:2])
        bands = 1 if i % 2 else 3
        if suffix == 'tif':
            write_tif(scenes / f's{i}/im1.tif', image[..., :bands])
            write_tif(scenes / f's{i}/im2.tif', image[..., :1])
        else:
            write(scenes / f's{i}/im1.jpg', image[..., :bands])
            write(scenes / f's{i}/im2.jpg', image[..., :1])
    assert run(monkeypatch, 'split_scenes', scenes, out, '--size', 8,
               '--names', f'im1.{suffix}', f'im2.{suffix}', 'ref.png') is None
    assert f'im1.{suffix}: 5 of 10 are grey' in capsys.readouterr().out
    for path in out.glob('*/A/s1_*'):
        with rasterio.open(path) as patch:
            first, second, third = patch.read()
        if suffix == 'tif':
            top, left = read_name(path.stem)[1][:2]
            np.testing.assert_array_equal(
                first, numbered(17, 26)[top:top + 8, left:left + 8, 0])
        assert (first == second).all() and (first == third).all()
    for folder, bands in (('A', 3), ('B', 1), ('label', 1)):
        for path in out.glob(f'*/{folder}/*'):
            with rasterio.open(path) as patch:
                assert patch.count == bands


def test_mcd_with_grey_scenes(monkeypatch, tmp_path):
    for i in range(10):
        folder = tmp_path / f'MCD/s{i}'
        for name in ('im1.jpg', 'im2.jpg'):
            write(folder / name, numbered(520, 520, 1 if i < 5 else 3))
        write(folder / 'ref.png', numbered(520, 520, 1))
    out = tmp_path / 'MCD-512'
    assert run(monkeypatch, 'split_scenes', tmp_path / 'MCD', out) is None
    for split, count in (('train', 6), ('val', 3), ('test', 1)):
        data = load('mcd_512x512', out, split)
        assert len(data) == count
        assert data[0]['inputs'].shape == (6, 512, 512)


def test_too_few_scenes(monkeypatch, tmp_path, scenes):
    for i in range(2, 10):
        shutil.rmtree(scenes / f's{i}')
    error = run(monkeypatch, 'split_scenes', scenes, tmp_path / 'out',
                '--size', 8)
    assert error == ('error: val would be empty: 2 scenes for the shares '
                     '60 : 30 : 10; choose other --shares')


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
    for dry_run in ([], ['--dry-run']):
        error = run(monkeypatch, 'mean_std', pairs / 'train', '--out', out,
                    *dry_run)
        assert error.endswith('lines.txt: exists; --force replaces it')
    error = run(monkeypatch, 'mean_std', pairs / 'train', '--out', tmp_path,
                '--force')
    assert error.endswith(': is a folder, expected a file')


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
            ('split_pairs', pairs / 'train', out, '--counts', 1, 1, 0),
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
