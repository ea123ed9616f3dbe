"""Images and labels from files: sizes, pixels, values.

PNG, JPEG and BMP are decoded through mmcv, GeoTIFF and what else GDAL knows
through rasterio, which is imported when the first such file is met. Arrays
keep the type and the number of bands of their file.
"""
import functools
import io
import warnings
from typing import NamedTuple, Optional, Sequence, Tuple

import mmcv
import mmengine.fileio as fileio
import numpy as np
from PIL import Image

RASTER_SUFFIXES = ('.tif', '.tiff', '.vrt', '.img', '.jp2')
IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp') + RASTER_SUFFIXES
LABEL_RANGES = ((0, 1), (0, 255))
# Where the decoder gives another count than the file has.
_DECODED_BANDS = {'P': 3, 'PA': 4, 'LA': 4, 'CMYK': 3}
_ENDS = {'PNG': b'IEND\xaeB`\x82', 'JPEG': b'\xff\xd9'}


class DatasetError(ValueError):
    """Files of a data set that do not fit together, or cannot be read."""


class Header(NamedTuple):
    """What the head of an image file says.

    Attributes:
        height (int): Rows.
        width (int): Columns.
        bands (int): Bands as they will be read.
    """

    height: int
    width: int
    bands: int


@functools.cache
def _rasterio():
    """Import rasterio once.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import rasterio
    except ImportError as error:
        raise ImportError(
            'reading GeoTIFF needs rasterio, which is not installed: '
            'pip install rasterio') from error
    warnings.filterwarnings(
        'ignore', category=rasterio.errors.NotGeoreferencedWarning)
    return rasterio


def is_raster(path: str) -> bool:
    """Whether a file is read through rasterio, by its suffix."""
    return path.lower().endswith(RASTER_SUFFIXES)


def _failure(path: str, error: Exception) -> DatasetError:
    return DatasetError(f'{path} cannot be read: {error or "damaged file"}')


def read_header(path: str) -> Header:
    """Read size and bands without decoding pixels.

    The end of PNG and JPEG files is looked at as well, so that a copy that
    was cut off is found.

    Args:
        path (str): A local file.

    Returns:
        Header: Height, width, bands.

    Raises:
        DatasetError: If the file is damaged, cut off or no image.
    """
    try:
        if is_raster(path):
            with _rasterio().open(path) as source:
                return Header(source.height, source.width, source.count)
        with open(path, 'rb') as file:
            with Image.open(file) as image:
                width, height = image.size
                bands = _DECODED_BANDS.get(
                    image.mode, len(image.getbands()))
                bands += image.mode == 'P' and 'transparency' in image.info
                ending = _ENDS.get(image.format, b'')
            if ending:
                file.seek(0, io.SEEK_END)
                # Cameras append data after the end of the image.
                file.seek(max(0, file.tell() - 4096))
                if ending not in file.read():
                    raise OSError('the file ends before its image does')
            return Header(height, width, bands)
    except ImportError:
        raise
    except Exception as error:
        raise _failure(path, error) from error


def _read_raster(path: str, backend_args: Optional[dict]):
    """Read ``(H, W, C)`` pixels and the mask of those without data."""
    rasterio = _rasterio()
    if backend_args is None:
        source = rasterio.open(path)
    else:
        content = fileio.get(path, backend_args=backend_args)
        source = rasterio.MemoryFile(content).open()
    with source:
        image = np.ascontiguousarray(source.read().transpose(1, 2, 0))
        missing = np.zeros(image.shape[:2], dtype=bool)
        for band, nodata in enumerate(source.nodatavals):
            if nodata is not None and not np.isnan(nodata):
                missing |= image[..., band] == nodata
    return image, missing


def read_image(path: str,
               color_order: str = 'bgr',
               color_type: str = 'unchanged',
               imdecode_backend: str = 'cv2',
               nodata_fill: float = 0,
               backend_args: Optional[dict] = None
               ) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    """Decode an image in its own type and with its own bands.

    Args:
        path (str): The file.
        color_order (str): ``'rgb'`` or ``'bgr'``: the latter turns the
            bands of three-band images round. Other images keep the order of
            their file. Default: ``'bgr'``.
        color_type (str): ``'unchanged'``, ``'color'`` (three bands whatever
            the file has) or ``'grayscale'``; not for GeoTIFF.
            Default: ``'unchanged'``.
        imdecode_backend (str): Decoder of :func:`mmcv.imfrombytes`.
            Default: ``'cv2'``.
        nodata_fill (float): Value of the pixels without data. Default: 0.
        backend_args (dict, optional): Of the file client. Default: None.

    Returns:
        tuple[ndarray, ndarray | None]: Pixels ``(H, W, C)`` and, where some
        pixel is nodata or not finite, the ``(H, W)`` mask of those.

    Raises:
        DatasetError: If the file cannot be decoded.
    """
    missing = None
    try:
        if is_raster(path):
            image, missing = _read_raster(path, backend_args)
        else:
            image = mmcv.imfrombytes(
                fileio.get(path, backend_args=backend_args),
                flag=color_type,
                backend=imdecode_backend)
            if image is None:
                raise OSError('no image that the decoder knows')
            if image.ndim == 2:
                image = image[..., None]
            elif image.shape[2] in (3, 4):
                image = image[..., (2, 1, 0, 3)[:image.shape[2]]]
    except ImportError:
        raise
    except Exception as error:
        raise _failure(path, error) from error
    if image.dtype.kind == 'f':
        finite = np.isfinite(image).all(axis=2)
        if not finite.all():
            missing = ~finite if missing is None else missing | ~finite
    if missing is not None:
        if missing.any():
            image[missing] = nodata_fill
        else:
            missing = None
    if color_order == 'bgr' and image.shape[2] == 3:
        image = image[..., ::-1]
    return np.ascontiguousarray(image), missing


def read_label(path: str, backend_args: Optional[dict] = None) -> np.ndarray:
    """Read the raw values of a label map.

    Args:
        path (str): The file; palette images give their indices.
        backend_args (dict, optional): Of the file client. Default: None.

    Returns:
        ndarray: ``(H, W)``, uint8.

    Raises:
        DatasetError: If the file cannot be decoded, has several bands that
            differ, or values outside of 0 to 255.
    """
    try:
        if is_raster(path):
            label, _ = _read_raster(path, backend_args)
        else:
            content = fileio.get(path, backend_args=backend_args)
            with Image.open(io.BytesIO(content)) as image:
                label = np.array(image)
    except ImportError:
        raise
    except Exception as error:
        raise _failure(path, error) from error
    if label.ndim == 3:
        if (label != label[..., :1]).any():
            raise DatasetError(
                f'{path} has {label.shape[2]} bands that differ, expected '
                'a label map of one band')
        label = label[..., 0]
    if label.dtype != np.uint8:
        values = label.astype(np.uint8)
        if (values != label).any():
            raise DatasetError(
                f'{path} has values of type {label.dtype} that are no whole '
                'numbers from 0 to 255')
        label = values
    return np.ascontiguousarray(label)


def label_values(label: np.ndarray) -> Tuple[int, ...]:
    """Tell the values that occur in a uint8 map, in order."""
    return tuple(np.bincount(label.ravel(), minlength=256).nonzero()[0]
                 .tolist())


def allowed_ranges(ignore_255: bool = False) -> Tuple[Tuple[int, ...], ...]:
    """Tell which sets of raw label values are accepted."""
    return ((0, 1, 255), ) if ignore_255 else LABEL_RANGES


def find_range(values: Sequence[int],
               ignore_255: bool = False) -> Optional[Tuple[int, ...]]:
    """Find the first accepted set that holds all values, or None."""
    for allowed in allowed_ranges(ignore_255):
        if set(values) <= set(allowed):
            return allowed
    return None


def ranges_in_words(ignore_255: bool = False) -> str:
    """Write the accepted sets for an error message."""
    words = ' or '.join(
        '{' + ', '.join(map(str, allowed)) + '}'
        for allowed in allowed_ranges(ignore_255))
    return words + (' (255 = ignore)' if ignore_255 else '')
