"""Converters on small trees made here."""
import re

import cv2
import numpy as np
import pytest
from running import run_tool

from opencd_gold.datasets.converting import every_nth, natural_key

TOOLS = 'tools/dataset_converters'
FOLDERS = ('A', 'B', 'C', 'label')


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def tree(root):
    return sorted(path.relative_to(root).as_posix()
                  for path in root.rglob('*') if not path.is_dir())


@pytest.fixture
def ombria(tmp_path):
    """The folders of the OMBRIA repository: 12 train tiles and 2 for test.

    Every image has one value: 30 times its kind plus its number.
    """
    root = tmp_path / 'OMBRIA'
    kinds = [(f'OmbriaS{sensor}', date, f'S{sensor}_{date.lower()}')
             for sensor in (1, 2) for date in ('BEFORE', 'AFTER', 'MASK')]
    for split, numbers in (('train', range(1, 13)), ('test', (20, 21))):
        for k, (sensor, date, stem) in enumerate(kinds):
            folder = root / sensor / split / date
            folder.mkdir(parents=True)
            for i in numbers:
                shape = (8, 8, 3) if sensor == 'OmbriaS2' else (8, 8)
                image = np.full(shape, 30 * k + i, np.uint8)
                if date == 'MASK':
                    image = np.zeros((8, 8), np.uint8)
                    image[:i % 8] = 255
                cv2.imwrite(str(folder / f'{stem}_{i:04d}.png'), image)
    return root


@pytest.fixture
def tiles(tmp_path):
    """A data root of 24 tiles, every sixth one in val."""
    root = tmp_path / 'root'
    for i in range(24):
        split = 'val' if i % 6 == 2 else 'train'
        for folder in FOLDERS:
            target = root / split / folder
            target.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(target / f'{i:04d}.png'),
                        np.full((4, 4), i, np.uint8))
    return root


def convert(monkeypatch, *arguments):
    return run_tool(monkeypatch, f'{TOOLS}/ombria.py', *arguments)


def make(monkeypatch, *arguments):
    return run_tool(monkeypatch, f'{TOOLS}/make_synthetic.py', *arguments,
                    '--size', 32)


def fold(monkeypatch, *arguments):
    return run_tool(monkeypatch, f'{TOOLS}/block_folds.py', *arguments)


@pytest.mark.parametrize('tool', ['ombria', 'make_synthetic', 'block_folds'])
def test_help(monkeypatch, capsys, tool):
    assert run_tool(monkeypatch, f'{TOOLS}/{tool}.py', '--help') is None
    shown = capsys.readouterr().out
    assert '--force' in shown
    assert '--dry-run' in shown


def test_every_nth():
    assert every_nth(list('abcdefghijklmnopq')) == (
        list('abcdeghijklmnoq'), ['f', 'p'])


def test_natural_order():
    assert sorted(['t10', 't9', 's11', '3', 'a'], key=natural_key) == [
        'a', 's11', 't9', 't10', '3']


def test_ombria(monkeypatch, tmp_path, ombria):
    out = tmp_path / 'out'
    assert convert(monkeypatch, ombria, out) is None
    expected = {'val': [6], 'test': [20, 21],
                'train': [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]}
    for split, numbers in expected.items():
        for folder in FOLDERS:
            assert names(out / split / folder) == [
                f'{i:04d}.png' for i in numbers]
    for folder, value, shape in (('A', 90 + 6, (8, 8, 3)),
                                 ('B', 30 + 6, (8, 8)),
                                 ('C', 120 + 6, (8, 8, 3))):
        path = out / 'val' / folder / '0006.png'
        assert not path.is_symlink()
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert image.shape == shape
        assert (image == value).all()
    label = cv2.imread(str(out / 'val' / 'label' / '0006.png'),
                       cv2.IMREAD_UNCHANGED)
    assert label.shape == (8, 8)
    assert (label[:6] == 255).all()
    assert not label[6:].any()


def test_ombria_by_links(monkeypatch, tmp_path, ombria):
    out = tmp_path / 'out'
    monkeypatch.chdir(tmp_path)
    assert convert(monkeypatch, 'OMBRIA', 'out', '--link') is None
    link = out / 'test' / 'A' / '0020.png'
    assert link.is_symlink()
    assert link.resolve() == (
        ombria / 'OmbriaS2/test/BEFORE/S2_before_0020.png')


def test_ombria_scales_labels_of_ones(monkeypatch, tmp_path, ombria):
    mask = ombria / 'OmbriaS1/test/MASK/S1_mask_0020.png'
    cv2.imwrite(str(mask), np.eye(8, dtype=np.uint8))
    assert convert(monkeypatch, ombria, tmp_path / 'out', '--link') is None
    label = tmp_path / 'out' / 'test' / 'label' / '0020.png'
    assert not label.is_symlink()
    image = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(image, 255 * np.eye(8, dtype=np.uint8))


@pytest.mark.parametrize('image, found', [
    (np.full((8, 8), 7, np.uint8), r'S1_mask_0020.png: expected the values '
     r'0 and 255 \(or 0 and 1\), found \[7\]'),
    (np.zeros((8, 8, 3), np.uint8), r'one band, found the shape \(8, 8, 3\)'),
])
def test_ombria_refuses_other_labels(monkeypatch, tmp_path, ombria, image,
                                     found):
    mask = ombria / 'OmbriaS1/test/MASK/S1_mask_0020.png'
    cv2.imwrite(str(mask), image)
    error = convert(monkeypatch, ombria, tmp_path / 'out')
    assert re.search(found, error)
    assert not (tmp_path / 'out').exists()


def test_ombria_names_missing_partners(monkeypatch, tmp_path, ombria):
    for i in (3, 9):
        (ombria / f'OmbriaS1/train/AFTER/S1_after_{i:04d}.png').unlink()
    error = convert(monkeypatch, ombria, tmp_path / 'out')
    assert error.startswith('error: 2 of 48 files are missing, first: 0003 '
                            'in B, 0009 in B; files of one sample need')
    assert not (tmp_path / 'out').exists()


def test_ombria_names_a_missing_folder(monkeypatch, tmp_path, ombria):
    error = convert(monkeypatch, ombria / 'OmbriaS1', tmp_path / 'out')
    assert error.endswith('OmbriaS2/train/BEFORE: no such folder')


def test_ombria_names_a_strange_file(monkeypatch, tmp_path, ombria):
    folder = ombria / 'OmbriaS2/train/AFTER'
    cv2.imwrite(str(folder / 'extra.png'), np.zeros((8, 8), np.uint8))
    error = convert(monkeypatch, ombria, tmp_path / 'out')
    assert error.endswith(
        "extra.png: expected a name that starts with 'S2_after_'")


def test_nothing_is_overwritten_without_force(monkeypatch, tmp_path, ombria):
    out = tmp_path / 'out'
    kept = out / 'val' / 'A' / 'mine.png'
    kept.parent.mkdir(parents=True)
    kept.write_text('mine')
    error = convert(monkeypatch, ombria, out)
    assert 'val/A: already holds mine.png (1 files in all)' in error
    assert tree(out) == ['val/A/mine.png']
    assert kept.read_text() == 'mine'
    assert convert(monkeypatch, ombria, out, '--force') is None
    assert names(kept.parent) == ['0006.png']


def test_force_replaces_links_and_not_what_they_point_to(
        monkeypatch, tmp_path, ombria):
    before = tree(ombria)
    out = tmp_path / 'out'
    assert convert(monkeypatch, ombria, out, '--link') is None
    assert convert(monkeypatch, ombria, out, '--force') is None
    assert tree(ombria) == before
    assert not (out / 'val' / 'A' / '0006.png').is_symlink()


@pytest.mark.parametrize('force', [[], ['--force']])
def test_dry_run_writes_nothing(monkeypatch, tmp_path, ombria, tiles, force):
    out = tmp_path / 'out'
    assert convert(monkeypatch, ombria, out, '--dry-run', *force) is None
    assert make(monkeypatch, out, '--dry-run', *force) is None
    assert fold(monkeypatch, tiles, '--out', out, '--folds', 2, '--dry-run',
                *force) is None
    assert not out.exists()


def test_dry_run_with_force_keeps_files(monkeypatch, tmp_path):
    assert make(monkeypatch, tmp_path / 'out', '--train', 2, '--val', 0,
                '--test', 0) is None
    before = tree(tmp_path)
    assert make(monkeypatch, tmp_path / 'out', '--train', 1, '--val', 0,
                '--test', 0, '--force', '--dry-run') is None
    assert tree(tmp_path) == before


def test_make_synthetic(monkeypatch, tmp_path):
    assert make(monkeypatch, tmp_path / 'out', '--train', 2, '--val', 1,
                '--test', 1) is None
    for split, count in (('train', 2), ('val', 1), ('test', 1)):
        for folder in FOLDERS:
            assert names(tmp_path / 'out' / split / folder) == [
                f'{i:04d}.png' for i in range(count)]


@pytest.mark.parametrize('options, found', [
    (['--looks', -1], 'error: looks=-1.0: expected a positive number'),
    (['--seed', -1], 'error: seed=-1'),
    (['--train', -2], 'error: seed=0, counts='),
])
def test_make_synthetic_refuses(monkeypatch, tmp_path, options, found):
    error = make(monkeypatch, tmp_path / 'out', *options)
    assert error.startswith(found)
    assert not (tmp_path / 'out').exists()


def test_block_folds(monkeypatch, tmp_path, tiles):
    out = tmp_path / 'folds'
    assert fold(monkeypatch, tiles, '--out', out, '--folds', 3) is None
    every = list(range(24))
    seen = []
    for i in range(3):
        stems = {split: [int(name[:4]) for name in
                         names(out / f'fold{i}' / split / 'A')]
                 for split in ('train', 'val', 'test')}
        block = every[8 * i:8 * i + 8]
        others = [n for n in every if n not in block]
        assert stems['test'] == block
        assert stems['val'] == [others[5], others[15]]
        assert stems['train'] == [
            n for n in others if n not in stems['val']]
        seen += stems['test']
        for folder in FOLDERS:
            link = out / f'fold{i}' / 'test' / folder / f'{8 * i + 2:04d}.png'
            assert link.is_symlink()
            image = cv2.imread(str(link), cv2.IMREAD_UNCHANGED)
            assert (image == 8 * i + 2).all()
    assert seen == every


def test_block_folds_by_copies(monkeypatch, tmp_path, tiles):
    out = tmp_path / 'folds'
    assert fold(monkeypatch, tiles, '--out', out, '--folds', 2,
                '--copy') is None
    path = out / 'fold0' / 'test' / 'A' / '0002.png'
    assert not path.is_symlink()
    assert path.read_bytes() == (tiles / 'val/A/0002.png').read_bytes()


@pytest.mark.parametrize('count, found', [
    (1, 'error: --folds 1: expected at least 2'),
    (30, 'error: 24 tiles are too few for 30 folds'),
])
def test_block_folds_refuses(monkeypatch, tmp_path, tiles, count, found):
    error = fold(monkeypatch, tiles, '--out', tmp_path / 'folds', '--folds',
                 count)
    assert error == found


def test_block_folds_names_a_tile_of_two_splits(monkeypatch, tmp_path, tiles):
    for folder in FOLDERS:
        source = tiles / 'val' / folder / '0002.png'
        (tiles / 'train' / folder / '0002.png').write_bytes(
            source.read_bytes())
    error = fold(monkeypatch, tiles, '--out', tmp_path / 'folds')
    assert 'tile 0002 is in more than one of the splits train, val' in error


def test_sources_are_not_emptied(monkeypatch, tmp_path, tiles):
    """A target inside the source would delete what is to be copied."""
    (tiles / 'fold0').mkdir()
    (tiles / 'train').rename(tiles / 'fold0' / 'train')
    (tiles / 'val').rename(tiles / 'fold0' / 'val')
    before = tree(tiles)
    error = fold(monkeypatch, tiles / 'fold0', '--out', tiles, '--folds', 2,
                 '--force')
    assert 'lies in a folder that would be written' in error
    assert tree(tiles) == before
