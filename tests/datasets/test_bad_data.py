"""Ways to get the data wrong, each with the one error that it gives."""
import re
import sys

import cv2
import numpy as np
import pytest

from opencd_gold.datasets import ChangeDataset, DatasetError, reading
from opencd_gold.datasets.transforms import MultiImgLoadImageFromFile

LOAD = [
    dict(type='MultiImgLoadImageFromFile'),
    dict(type='MultiImgLoadAnnotations')
]


def _write(path, value, shape=(16, 16)):
    cv2.imwrite(str(path), np.full(shape, value, np.uint8))


def _error(root, prefix, kind=DatasetError, **kwargs):
    with pytest.raises(kind) as caught:
        ChangeDataset(
            data_root=str(root), data_prefix=prefix, **kwargs)
    return str(caught.value)


def test_folder_in_another_case(make_set, prefix):
    root = make_set()
    (root / 'label').rename(root / 'Label')
    text = _error(root, prefix())
    assert f"seg_map_path='{root}/label': no such folder" in text
    assert f"there is '{root}/Label'" in text


def test_missing_folders_are_all_named(make_set, prefix):
    root = make_set()
    folders = prefix() | dict(img_path_from='x', img_path_to='deep/y')
    text = _error(root, folders)
    assert 'missing folders (2):' in text
    assert f"img_path_from='{root}/x': no such folder" in text
    assert f"img_path_to='{root}/deep/y': no such folder" in text
    assert 'but there is' not in text


def test_empty_folder(make_set, prefix):
    root = make_set()
    for path in (root / 'B').iterdir():
        path.rename(path.with_suffix('.npy'))
    text = _error(root, prefix())
    assert f"img_path_to='{root}/B' has no file with suffix .png" in text


def test_wrong_suffix(make_set, prefix):
    text = _error(make_set(), prefix(), seg_map_suffix='.tif')
    assert 'has no file with suffix .tif' in text


@pytest.mark.parametrize('folder, key', [
    ('A', 'img_path_from'), ('B', 'img_path_to'), ('C', 'img_path_guide'),
    ('label', 'seg_map_path')])
def test_missing_partner(make_set, prefix, folder, key):
    root = make_set()
    (root / folder / '0001.png').unlink()
    text = _error(root, prefix())
    assert '1 problem found' in text
    assert f"'0001' is missing in {key}='{root}/{folder}'" in text


def test_first_files_and_the_count(make_set, prefix):
    root = make_set(9)
    for i in range(8):
        (root / 'C' / f'{i:04}.png').unlink()
    text = _error(root, prefix())
    assert 'missing partners (8):' in text
    assert "'0004' is missing" in text
    assert "'0005'" not in text
    assert 'and 3 more' in text


def test_two_files_of_one_stem(make_set, prefix):
    root = make_set()
    _write(root / 'A/0001.bmp', 3, (16, 16, 3))
    text = _error(root, prefix())
    assert f'{root}/A/0001.bmp and {root}/A/0001.png' in text
    assert 'choose with img_suffix' in text


def test_images_of_two_sizes(make_set, prefix):
    root = make_set()
    _write(root / 'B/0001.png', 3, (12, 20))
    text = _error(root, prefix())
    assert 'sizes that differ (1):' in text
    assert f'{root}/A/0001.png 16 x 16' in text
    assert f'{root}/B/0001.png 12 x 20' in text
    assert 'expected one size (height x width)' in text


def test_label_of_another_size(make_set, prefix):
    root = make_set()
    _write(root / 'label/0002.png', 0, (16, 8))
    assert f'{root}/label/0002.png 16 x 8' in _error(root, prefix())


def test_file_that_is_no_image(make_set, prefix):
    root = make_set()
    (root / 'C/0000.png').write_bytes(b'<html>not found</html>')
    text = _error(root, prefix())
    assert 'unreadable files (1):' in text
    assert f'{root}/C/0000.png cannot be read' in text


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_file_that_was_cut_off(make_set, prefix, suffix):
    root = make_set()
    (root / 'A/0000.png').unlink()
    path = root / f'A/0000{suffix}'
    cv2.imwrite(str(path), np.random.default_rng(0).integers(
        0, 255, (16, 16, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:-40])
    text = _error(root, prefix())
    assert f'{path} cannot be read: the file ends before its image' in text


def test_label_that_is_cut_off(make_set, prefix):
    root = make_set()
    path = root / 'label/0000.png'
    path.write_bytes(path.read_bytes()[:40])
    assert f'{path} cannot be read' in _error(root, prefix())


def test_damaged_geotiff(make_set, prefix, write_tif):
    root = make_set()
    (root / 'B/0001.png').unlink()
    path = root / 'B/0001.tif'
    path.write_bytes(b'II*\0 and no more')
    assert f'{path} cannot be read' in _error(root, prefix())


def test_geotiff_without_rasterio(make_set, prefix, write_tif, monkeypatch):
    root = make_set()
    (root / 'B/0001.png').unlink()
    write_tif('B/0001.tif', np.zeros((16, 16, 1), np.uint8))
    reading._rasterio.cache_clear()
    monkeypatch.setitem(sys.modules, 'rasterio', None)
    text = _error(root, prefix(), ImportError)
    assert 'reading GeoTIFF needs rasterio' in text
    assert 'pip install rasterio' in text


def test_wrong_label_values(make_set, prefix):
    root = make_set()
    _write(root / 'label/0001.png', 3)
    text = _error(root, prefix())
    assert 'wrong label values (1):' in text
    assert (f'{root}/label/0001.png has {{3}}, expected {{0, 1}} or '
            '{0, 255}') in text


def test_wrong_label_values_next_to_ignore(make_set, prefix):
    root = make_set(change=1)
    _write(root / 'label/0001.png', 128)
    text = _error(root, prefix(), ignore_255=True)
    assert 'has {128}, expected {0, 1, 255} (255 = ignore)' in text


def test_label_values_that_change_within_the_set(make_set, prefix):
    root = make_set()
    _write(root / 'label/0001.png', 1)
    text = _error(root, prefix())
    assert f'with 1 for change: 1 (first: {root}/label/0001.png)' in text
    assert f'with 255: 2 (first: {root}/label/0000.png)' in text
    assert 'if 255 means ignore, say ignore_255=True' in text


def test_ignore_in_a_label_that_was_not_announced(make_set, prefix):
    root = make_set(change=1)
    label = np.eye(16, dtype=np.uint8)
    label[0] = 255
    cv2.imwrite(str(root / 'label/0001.png'), label)
    text = _error(root, prefix())
    assert f'{root}/label/0001.png has {{0, 1, 255}}' in text
    assert 'if 255 means ignore, say ignore_255=True' in text


def test_label_in_colour(make_set, prefix):
    root = make_set()
    label = np.zeros((16, 16, 3), np.uint8)
    label[..., 2] = 255
    cv2.imwrite(str(root / 'label/0000.png'), label)
    text = _error(root, prefix())
    assert f'{root}/label/0000.png has 3 bands that differ' in text


def test_label_of_16_bits(make_set, prefix):
    root = make_set()
    cv2.imwrite(
        str(root / 'label/0000.png'), np.full((16, 16), 65535, np.uint16))
    assert 'no whole numbers from 0 to 255' in _error(root, prefix())


def test_grey_file_among_colour(make_set, prefix):
    root = make_set()
    _write(root / 'A/0002.png', 9)
    text = _error(root, prefix())
    assert f'{root}/A/0002.png has 1, expected 3' in text


def test_bands_that_the_pipeline_does_not_expect(make_set, prefix):
    root = make_set()
    pipeline = [dict(LOAD[0], channels=(3, 2, 3)), LOAD[1]]
    text = _error(root, prefix(), pipeline=pipeline)
    assert 'wrong number of bands (3):' in text
    assert f'{root}/B/0000.png has 1, expected 2' in text


def test_bands_are_compared_at_loading_too(make_set):
    root = make_set()
    load = MultiImgLoadImageFromFile(channels=(3, 3))
    paths = [f'{root}/A/0000.png', f'{root}/B/0000.png']
    with pytest.raises(DatasetError, match=re.escape(
            f'{paths[1]} has 1 bands, expected 3: channels=(3, 3)')):
        load(dict(img_path=paths))


def test_everything_wrong_is_one_error(make_set, prefix):
    root = make_set()
    _write(root / 'B/0001.png', 3, (12, 20))
    _write(root / 'label/0002.png', 3)
    (root / 'A/0000.png').write_bytes(b'')
    text = _error(root, prefix())
    assert '3 problems found' in text
    assert [line.split(' (')[0] for line in text.splitlines()[1:]
            if not line.startswith('  ')] == [
                'unreadable files', 'sizes that differ', 'wrong label values']


def test_no_list_file(make_set, prefix):
    root = make_set()
    text = _error(root, prefix(), ann_file='train.txt')
    assert f"ann_file='{root}/train.txt': no such file" in text


@pytest.mark.parametrize('lines, text', [
    ('\n\n', "ann_file='{root}/train.txt' has no line"),
    ('0000\n0007\n', "'0007' is missing in img_path_from='{root}/A'"),
    ('0000.png,0000.png,0000.png,0000.png\n0001.png,0001.png,0001.png\n',
     '{root}/train.txt:2 has 3 columns, expected 4'),
    ('0000.png,0008.png,0000.png,0000.png\n',
     '{root}/B/0008.png ({root}/train.txt:1)'),
])
def test_wrong_list_file(make_set, prefix, lines, text):
    root = make_set()
    (root / 'train.txt').write_text(lines)
    assert text.format(root=root) in _error(
        root, prefix(), ann_file='train.txt')


def test_no_sample_left(make_set, prefix):
    assert 'no sample is left (indices=0)' in _error(
        make_set(), prefix(), indices=0)


def test_unknown_key_of_data_prefix(make_set, prefix):
    folders = prefix() | dict(img_path2='B')
    text = _error(make_set(), folders, ValueError)
    assert 'img_path_from and img_path_to' in text
    assert 'img_path2' in text


def test_missing_key_of_data_prefix(make_set, prefix):
    folders = prefix()
    del folders['img_path_to']
    assert 'img_path_to' in _error(make_set(), folders, ValueError)


@pytest.mark.parametrize(
    'sensors', [('optical', 'radar', 'optical'), ('optical', ), 'optical'])
def test_sensors(make_set, prefix, sensors):
    text = _error(make_set(), prefix(), ValueError, sensors=sensors)
    assert "must name 'optical' or 'sar' for each of the 3 images" in text
    assert repr(sensors) in text


def test_three_classes(make_set, prefix):
    text = _error(make_set(), prefix(), ValueError,
                  metainfo=dict(classes=('a', 'b', 'c')))
    assert "needs 2 classes, found 3: ('a', 'b', 'c')" in text


def test_unknown_format_of_labels(make_set, prefix):
    text = _error(make_set(), prefix(), ValueError, format_seg_map='binary')
    assert "None or 'to_binary', found 'binary'" in text


def test_dates_of_two_sensors_are_not_exchanged(make_set, prefix):
    root = make_set()
    pipeline = LOAD + [dict(type='MultiImgExchangeTime', prob=0.5)]
    text = _error(root, prefix(guide=False), ValueError,
                  sensors=('optical', 'sar'), pipeline=pipeline)
    assert "sensors=('optical', 'sar'), expected two images of one" in text
    text = _error(root, prefix(), ValueError, pipeline=pipeline)
    assert 'expected two images of one sensor' in text


def test_label_that_is_asked_for_but_not_there(make_set, prefix):
    folders = prefix()
    del folders['seg_map_path']
    text = _error(make_set(), folders, pipeline=LOAD)
    assert 'MultiImgLoadAnnotations' in text
    assert 'seg_map_path' in text


def test_labels_are_compared_at_loading_too(make_set, prefix):
    root = make_set()
    data = ChangeDataset(data_root=str(root), data_prefix=prefix(),
                         pipeline=LOAD)
    _write(root / 'label/0000.png', 0, (8, 16))
    with pytest.raises(DatasetError, match='0000.png is 8 x 16, expected 16'):
        data[0]
    _write(root / 'label/0001.png', 1)
    with pytest.raises(DatasetError, match=r'0001.png has the values \(1,\)'):
        data[1]
    _write(root / 'B/0002.png', 0, (16, 8))
    with pytest.raises(ValueError, match='B/0002.png 16 x 8'):
        data[2]
