import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from opencd_gold.datasets import DatasetError
from opencd_gold.datasets.reading import read_header, read_image, read_label
from opencd_gold.datasets.transforms import (
    MultiImgLoadAnnotations,
    MultiImgLoadImageFromFile,
    MultiImgPackSegInputs,
)


def _random(shape, dtype):
    rng = np.random.default_rng(1)
    if np.dtype(dtype).kind == 'f':
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


@pytest.mark.parametrize('suffix', ['.png', '.bmp'])
@pytest.mark.parametrize('bands', [1, 3])
def test_lossless_formats(tmp_path, suffix, bands):
    pixels = _random((5, 7, bands), np.uint8)
    path = str(tmp_path / f'x{suffix}')
    Image.fromarray(pixels.squeeze()).save(path)
    rgb, missing = read_image(path, color_order='rgb')
    np.testing.assert_array_equal(rgb, pixels)
    assert missing is None
    bgr, _ = read_image(path)
    np.testing.assert_array_equal(bgr, pixels[..., ::-1])
    assert read_header(path) == (5, 7, bands)


def test_jpeg_of_one_colour(tmp_path):
    path = str(tmp_path / 'x.jpg')
    Image.new('RGB', (8, 4), (250, 128, 10)).save(path, quality=100)
    image, _ = read_image(path, color_order='rgb')
    assert image.shape == (4, 8, 3)
    assert np.abs(image - np.array([250., 128, 10])).max() <= 2
    assert read_header(path) == (4, 8, 3)


def test_colour_type_of_open_cd(tmp_path):
    grey = _random((4, 4), np.uint8)
    Image.fromarray(grey).save(tmp_path / 'grey.png')
    image, _ = read_image(str(tmp_path / 'grey.png'), color_type='color')
    np.testing.assert_array_equal(image, grey[..., None].repeat(3, axis=2))


@pytest.mark.parametrize('mode, bands', [
    ('1', 1), ('L', 1), ('P', 3), ('RGB', 3), ('RGBA', 4)])
def test_header_counts_the_bands_that_are_read(tmp_path, mode, bands):
    path = str(tmp_path / 'x.png')
    Image.fromarray(_random((4, 6, 3), np.uint8)).convert(mode).save(path)
    assert read_header(path) == (4, 6, bands)
    assert read_image(path)[0].shape == (4, 6, bands)


def test_four_bands_keep_the_order_of_the_file(tmp_path):
    pixels = _random((4, 6, 4), np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'x.png')
    for order in ('rgb', 'bgr'):
        image, _ = read_image(str(tmp_path / 'x.png'), color_order=order)
        np.testing.assert_array_equal(image, pixels)


def test_png_of_16_bits(tmp_path):
    pixels = _random((5, 7), np.uint16)
    cv2.imwrite(str(tmp_path / 'x.png'), pixels)
    image, _ = read_image(str(tmp_path / 'x.png'))
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image[..., 0], pixels)
    assert read_header(str(tmp_path / 'x.png')) == (5, 7, 1)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.parametrize('bands', [1, 2, 3, 6])
def test_geotiff(write_tif, dtype, bands):
    pixels = _random((5, 7, bands), dtype)
    path = write_tif('x.tif', pixels)
    image, missing = read_image(path, color_order='rgb')
    assert image.dtype == dtype
    np.testing.assert_array_equal(image, pixels)
    assert missing is None
    assert read_header(path) == (5, 7, bands)
    turned, _ = read_image(path, color_order='bgr')
    np.testing.assert_array_equal(
        turned, pixels[..., ::-1] if bands == 3 else pixels)


def test_nodata_and_nan_become_ignored_label_pixels(write_tif, tmp_path):
    before = np.ones((4, 4, 2), np.float32)
    before[0, 1, 0] = -9999
    before[2, 2, 1] = np.nan
    after = np.ones((4, 4, 1), np.uint16)
    after[3, 3] = 65535
    guide = np.ones((4, 4, 1), np.uint8)
    guide[1, 0] = 0
    paths = [
        write_tif('a.tif', before, nodata=-9999),
        write_tif('b.tif', after, nodata=65535),
        write_tif('c.tif', guide, nodata=0)
    ]
    cv2.imwrite(str(tmp_path / 'label.png'), np.ones((4, 4), np.uint8))
    expected = np.ones((4, 4), np.uint8)
    expected[[0, 2, 3], [1, 2, 3]] = 255
    for test_mode in (True, False):
        if not test_mode:
            expected[1, 0] = 255
        results = dict(
            img_path=list(paths),
            seg_map_path=str(tmp_path / 'label.png'),
            test_mode=test_mode)
        results = MultiImgLoadImageFromFile(nodata_fill=7)(results)
        assert results['img'][0][0, 1].tolist() == [7, 7]
        assert results['img'][0][2, 2].tolist() == [7, 7]
        assert results['img'][1][3, 3].tolist() == [7]
        results = MultiImgLoadAnnotations()(results)
        np.testing.assert_array_equal(results['gt_seg_map'], expected)


def test_nodata_is_packed_where_there_is_no_label(write_tif):
    pixels = np.ones((4, 4, 1), np.float32)
    pixels[1, 2] = np.nan
    results = dict(img_path=[write_tif('a.tif', pixels)] * 2)
    packed = MultiImgPackSegInputs()(MultiImgLoadImageFromFile()(results))
    mask = packed['data_samples'].nodata_mask.data
    assert mask.dtype == torch.bool
    assert mask.nonzero().tolist() == [[0, 1, 2]]
    assert packed['inputs'].isfinite().all()


def test_label_formats(tmp_path, write_tif):
    label = (np.arange(20).reshape(4, 5) % 3 == 0).astype(np.uint8)
    Image.fromarray(255 * label).save(tmp_path / 'grey.png')
    Image.fromarray(255 * label).convert('1').save(tmp_path / 'bit.png')
    palette = Image.fromarray(label)
    palette.putpalette([0, 0, 0, 200, 10, 10])
    palette.save(tmp_path / 'palette.png')
    Image.fromarray(255 * label).convert('RGB').save(tmp_path / 'rgb.png')
    write_tif('x.tif', label[..., None].astype(np.float32))
    for name, change in (('grey.png', 255), ('bit.png', 1),
                         ('palette.png', 1), ('rgb.png', 255), ('x.tif', 1)):
        found = read_label(str(tmp_path / name))
        np.testing.assert_array_equal(found, change * label)


def test_loader_notes_shapes_and_converts(tmp_path):
    paths = [str(tmp_path / 'a.png'), str(tmp_path / 'b.png')]
    Image.fromarray(_random((4, 6, 3), np.uint8)).save(paths[0])
    Image.fromarray(_random((4, 6), np.uint8)).save(paths[1])
    results = MultiImgLoadImageFromFile(to_float32=True)(
        dict(img_path=paths))
    assert results['img_shape'] == results['ori_shape'] == (4, 6)
    assert [image.dtype for image in results['img']] == [np.float32] * 2
    with pytest.raises(DatasetError, match='none.png cannot be read'):
        MultiImgLoadImageFromFile()(dict(img_path=['none.png']))
    empty = MultiImgLoadImageFromFile(ignore_empty=True)
    assert empty(dict(img_path=['none.png'])) is None


def test_cached_pixels_cannot_be_written(tmp_path):
    Image.fromarray(_random((4, 6), np.uint8)).save(tmp_path / 'a.png')
    load = MultiImgLoadImageFromFile(cache=True)
    image, = load(dict(img_path=[str(tmp_path / 'a.png')]))['img']
    with pytest.raises(ValueError, match='read-only'):
        image[0, 0] = 1


@pytest.mark.parametrize('kwargs', [
    dict(color_order='gbr'), dict(color_type='grey')])
def test_loader_echoes_a_bad_option(kwargs):
    (name, value), = kwargs.items()
    with pytest.raises(ValueError, match=f'{name} must be one of .*{value}'):
        MultiImgLoadImageFromFile(**kwargs)


@pytest.mark.parametrize('types, dtype', [
    ((np.uint8, np.uint8), torch.uint8),
    ((np.uint8, np.float32), torch.float32),
    ((np.uint16, np.uint16), torch.float32),
    ((np.int16, np.float64), torch.float32),
])
def test_pack(types, dtype):
    images = [_random((4, 5, 3), types[0]), _random((4, 5, 2), types[1])]
    label = np.array([[0, 1, 255, 0, 1]] * 4, np.uint8)
    packed = MultiImgPackSegInputs()(
        dict(img=images, gt_seg_map=label, seg_fields=['gt_seg_map'],
             img_path=['a', 'b'], sensors=['optical', 'sar'],
             ori_shape=(4, 5), sample_idx=3))
    assert packed['inputs'].dtype == dtype
    assert packed['inputs'].is_contiguous()
    np.testing.assert_array_equal(
        packed['inputs'].numpy(),
        np.concatenate(images, axis=2).transpose(2, 0, 1).astype(
            packed['inputs'].numpy().dtype))
    sample = packed['data_samples']
    assert sample.gt_sem_seg.data.dtype == torch.int64
    np.testing.assert_array_equal(sample.gt_sem_seg.data[0], label)
    assert sample.metainfo == dict(
        img_path=['a', 'b'], sensors=['optical', 'sar'], ori_shape=(4, 5))


def test_pack_refuses_images_of_two_sizes():
    with pytest.raises(ValueError, match='a 4 x 4, b 4 x 5'):
        MultiImgPackSegInputs()(
            dict(img=[np.zeros((4, 4, 1)), np.zeros((4, 5, 1))],
                 img_path=['a', 'b']))
