"""Tiny sets of images on disk."""
import os.path as osp
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

FOLDERS = dict(
    img_path_from='A',
    img_path_to='B',
    img_path_guide='C',
    seg_map_path='label')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('opencd_gold')


@pytest.fixture
def prefix():
    """``data_prefix`` of the folders that ``make_set`` writes."""

    def make(guide=True):
        return {
            key: name
            for key, name in FOLDERS.items()
            if guide or key != 'img_path_guide'
        }

    return make


@pytest.fixture
def make_set(tmp_path):
    """Write ``{A,B,C,label}/000i.png``: colour, grey, colour, 0 / 255."""

    def make(count=3, size=(16, 16), change=255) -> Path:
        rng = np.random.default_rng(0)
        for name, bands in (('A', 3), ('B', 1), ('C', 3)):
            (tmp_path / name).mkdir()
            for i in range(count):
                cv2.imwrite(
                    osp.join(tmp_path, name, f'{i:04}.png'),
                    rng.integers(0, 256, (*size, bands), dtype=np.uint8))
        (tmp_path / 'label').mkdir()
        for i in range(count):
            label = np.zeros(size, np.uint8)
            label[:i + 2, :4] = change
            cv2.imwrite(osp.join(tmp_path, 'label', f'{i:04}.png'), label)
        return tmp_path

    return make


@pytest.fixture
def write_tif(tmp_path):
    """Write a GeoTIFF of the bands of an ``(H, W, C)`` array."""
    import rasterio
    from rasterio.transform import from_origin

    def write(name, pixels, nodata=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width, bands = pixels.shape
        with rasterio.open(
                path,
                'w',
                driver='GTiff',
                height=height,
                width=width,
                count=bands,
                dtype=pixels.dtype,
                nodata=nodata,
                transform=from_origin(100, 200, 10, 10)) as file:
            file.write(pixels.transpose(2, 0, 1))
        return str(path)

    return write
