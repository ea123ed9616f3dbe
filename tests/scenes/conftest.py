"""Small scenes whose content is known."""
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

UTM = 'EPSG:32633'


def write(path, pixels, transform=None, crs=UTM, nodata=None, **options):
    """Write ``(C, H, W)`` or ``(H, W)`` pixels."""
    pixels = np.atleast_3d(pixels) if pixels.ndim == 3 else pixels[None]
    if transform is None:
        transform = from_origin(500000, 5400000, 10, 10)
    with rasterio.open(
            path, 'w', driver='GTiff', count=len(pixels),
            height=pixels.shape[1], width=pixels.shape[2],
            dtype=pixels.dtype, crs=crs, transform=transform, nodata=nodata,
            **options) as target:
        target.write(pixels)
    return path


@pytest.fixture
def noise():
    """``noise(bands, height, width)``: uint8 pixels from 1 to 255."""
    rng = np.random.default_rng(7)
    return lambda bands, height, width: rng.integers(
        1, 256, (bands, height, width), np.uint8)
