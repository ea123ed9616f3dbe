"""Sharing a set out by change area ratio, on labels made here."""
import cv2
import numpy as np
import pytest
from running import run_tool

TOOL = 'tools/dataset_converters/split_by_car.py'
# Changed pixels of 10 x 10 by stem.
CHANGED = dict(
    none=0, few=4, five=5, six=6, twenty=20, more=21, half=50, all=100)


def write_set(root, changed, one=255):
    for i, (stem, count) in enumerate(changed.items()):
        label = np.zeros(100, np.uint8)
        label[:count] = one
        images = dict(
            A=np.full((10, 10, 3), i, np.uint8),
            B=np.full((10, 10, 3), 100 + i, np.uint8),
            label=label.reshape(10, 10))
        for folder, image in images.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / folder / f'{stem}.png'), image)


@pytest.fixture
def root(tmp_path):
    write_set(tmp_path / 'train', CHANGED)
    write_set(tmp_path / 'test', dict(a=1, b=99))
    return tmp_path


@pytest.fixture
def split(monkeypatch):
    return lambda *arguments: run_tool(monkeypatch, TOOL, *arguments)


def stems(root, name, lists='lists'):
    return set((root / lists / f'{name}.txt').read_text().split())


def test_lists(root, split, caplog):
    with caplog.at_level('INFO'):
        assert split(root) is None
    assert stems(root, 'train_s') == {'none', 'few', 'five'}
    assert stems(root, 'train_m') == {'six', 'twenty'}
    assert stems(root, 'train_l') == {'more', 'half', 'all'}
    assert stems(root, 'test_s') == {'a'}
    assert stems(root, 'test_m') == set()
    assert stems(root, 'test_l') == {'b'}
    picture = cv2.imread(str(root / 'lists/car.png'))
    assert picture.shape[0] > 100
    assert (picture != 255).any()


def test_table(root, split, capfd):
    assert split(root, '--dry-run') is None
    shown = capfd.readouterr()
    shown = shown.out + shown.err
    rows = [[cell.strip() for cell in line.strip('|').split('|')]
            for line in shown.splitlines() if line.startswith('|')]
    assert ['train', 's', '3', '37.5', '0.0000', '0.0400', '0.0500'] in rows
    assert ['test', 'm', '0', '0.0', '-', '-', '-'] in rows
    assert not (root / 'lists').exists()


def test_the_side_of_a_bound_and_other_partitions(root, split):
    assert split(root, '--exclusive', '--splits', 'train') is None
    assert stems(root, 'train_s') == {'none', 'few'}
    assert stems(root, 'train_m') == {'five', 'six'}
    assert split(root, '--thresholds', 0.05, 0.2, 0.5, '--lists',
                 'lists-4') is None
    assert stems(root, 'train_l', 'lists-4') == {'more', 'half'}
    assert stems(root, 'train_xl', 'lists-4') == {'all'}
    assert split(root, '--thresholds', 0.1, '--names', 'low', 'high',
                 '--lists', 'lists-2') is None
    assert stems(root, 'train_low', 'lists-2') == {
        'none', 'few', 'five', 'six'}
    assert split(root, '--thresholds', 0.1, 0.2, 0.3, 0.4, '--lists',
                 'lists-5') is None
    assert stems(root, 'train_5', 'lists-5') == {'half', 'all'}


@pytest.mark.parametrize('how', ['--copy', '--link'])
def test_folders(root, split, how):
    assert split(root, how) is None
    for folder in ('A', 'B', 'label'):
        names = {path.stem for path in (root / 'train_m' / folder).iterdir()}
        assert names == {'six', 'twenty'}
        path = root / 'train_m' / folder / 'six.png'
        assert path.is_symlink() == (how == '--link')
        assert path.read_bytes() == (
            root / 'train' / folder / 'six.png').read_bytes()
    assert not (root / 'lists/train_m.txt').exists()


def test_val_is_made_of_train(root, split):
    """In natural order; positions 1, 4 and 7 of eight."""
    assert split(root, '--hold-out', 3) is None
    ordered = sorted(CHANGED)
    val = {ordered[i] for i in (1, 4, 7)}
    assert stems(root, 'val') == val
    assert stems(root, 'train') == set(CHANGED) - val
    shared = [stems(root, f'{name}_{part}') for name in ('train', 'val')
              for part in 'sml']
    assert set.union(*shared) == set(CHANGED)
    assert sum(map(len, shared)) == len(CHANGED)
    assert set.union(*shared[3:]) == val


def test_labels_of_other_values(tmp_path, split):
    write_set(tmp_path / 'train', dict(a=3, b=30), one=1)
    assert split(tmp_path) is None
    assert stems(tmp_path, 'train_l') == {'b'}
    write_set(tmp_path / 'train', dict(b=30), one=200)
    message = split(tmp_path, '--force')
    assert 'b.png: found the values [0, 200]' in message
    assert '--label-threshold' in message
    assert split(tmp_path, '--force', '--label-threshold', 201) is None
    assert stems(tmp_path, 'train_s') == {'a', 'b'}
    assert split(tmp_path, '--force', '--label-threshold', 128) is None
    assert stems(tmp_path, 'train_l') == {'b'}


def test_ignored_pixels_do_not_count(tmp_path, split):
    """Four of 96 that count: 0.042, below 0.05; of 60 it is above."""
    write_set(tmp_path / 'train', dict(a=4, b=4), one=1)
    for stem, ignored in (('a', 4), ('b', 40)):
        path = str(tmp_path / f'train/label/{stem}.png')
        label = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        label.ravel()[-ignored:] = 255
        cv2.imwrite(path, label)
    assert split(tmp_path, '--ignore-255') is None
    assert stems(tmp_path, 'train_s') == {'a'}
    assert stems(tmp_path, 'train_m') == {'b'}


@pytest.mark.parametrize('arguments, words', [
    (['--thresholds', 0.2, 0.05], ['must rise']),
    (['--names', 's', 'l'], ['expected 3 different ones']),
    (['--splits', 'val'], ['no such folder']),
    (['--splits', 'test', '--hold-out', 2], ['makes val of train']),
    (['--folders', 'A', 'C'], ['C: no such folder']),
])
def test_what_is_wrong_is_said(root, split, arguments, words):
    message = split(root, *arguments)
    assert message.startswith('error: ')
    for word in words:
        assert word in message
    assert not (root / 'lists').exists()


def test_missing_partner_and_leftovers(root, split):
    assert split(root) is None
    assert 'already holds' in split(root)
    assert split(root, '--force') is None
    (root / 'train/B/six.png').unlink()
    assert 'six in B' in split(root, '--force')


def test_empty_root(tmp_path, split):
    assert 'has none of the folders' in split(tmp_path)


def test_help(split, capsys):
    assert split('--help') is None
    assert '--thresholds' in capsys.readouterr().out
