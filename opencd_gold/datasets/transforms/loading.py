"""Loading of images and labels."""
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
from mmcv.transforms import BaseTransform

from opencd_gold.registry import TRANSFORMS

from ..reading import (
    DatasetError,
    find_range,
    label_values,
    ranges_in_words,
    read_image,
    read_label,
)
from .base import check_same_size


@TRANSFORMS.register_module()
class MultiImgLoadImageFromFile(BaseTransform):
    """Load all images of a sample, each as its file has it.

    Types (8 and 16 bit, float32) and band counts are kept. Pixels that are
    nodata of a GeoTIFF, or not finite, become ``nodata_fill`` and are noted
    in ``nodata_mask``, which :class:`MultiImgLoadAnnotations` turns into
    ignored label pixels.

    Three-band images come in the order blue, green, red, because Open-CD
    loads them so and lets the data preprocessor turn them round
    (``bgr_to_rgb=True``). With ``color_order='rgb'``, which the data configs
    of this package use, nothing has to. Images with any other number of
    bands keep the order of their file in both cases.

    Required keys: ``img_path``. Added keys: ``img``, ``img_shape``,
    ``ori_shape``, ``color_order`` and, where there is something to note,
    ``nodata_mask``.

    Args:
        to_float32 (bool): Whether to convert. Default: False.
        color_type (str): ``'unchanged'``, ``'color'``, ``'grayscale'``.
            Open-CD has ``'color'``, which differs for grey images (repeated
            three times) and for those with an alpha band (dropped).
            Default: ``'unchanged'``.
        imdecode_backend (str): Decoder of :func:`mmcv.imfrombytes`; not for
            GeoTIFF. Default: ``'cv2'``.
        color_order (str): ``'bgr'`` or ``'rgb'``. Default: ``'bgr'``.
        channels (Sequence[int], optional): Bands that each image must have,
            e.g. ``(3, 1, 3)``. Default: None, any.
        nodata_fill (float): Value of pixels without data. Default: 0.
        cache (bool): Whether to keep decoded images in memory; the data set
            then decodes all of them once, before workers start, so that
            those share the memory. For small sets. Default: False.
        ignore_empty (bool): Whether to skip samples whose files are missing.
            Default: False.
        backend_args (dict, optional): Of the file client. Default: None.

    Raises:
        DatasetError: If a file cannot be read or has the wrong bands.
    """

    def __init__(self,
                 to_float32: bool = False,
                 color_type: str = 'unchanged',
                 imdecode_backend: str = 'cv2',
                 color_order: str = 'bgr',
                 channels: Optional[Sequence[int]] = None,
                 nodata_fill: float = 0,
                 cache: bool = False,
                 ignore_empty: bool = False,
                 backend_args: Optional[dict] = None) -> None:
        for name, value, allowed in (
            ('color_type', color_type, ('unchanged', 'color', 'grayscale')),
            ('color_order', color_order, ('bgr', 'rgb'))):
            if value not in allowed:
                raise ValueError(
                    f'{name} must be one of {allowed}, found {value!r}')
        self.to_float32 = to_float32
        self.color_type = color_type
        self.imdecode_backend = imdecode_backend
        self.color_order = color_order
        self.channels = None if channels is None else tuple(channels)
        self.nodata_fill = nodata_fill
        self.cache = cache
        self.ignore_empty = ignore_empty
        self.backend_args = backend_args
        self._cached: Dict[str, Tuple[np.ndarray, Optional[np.ndarray]]] = {}

    def _read(self, path: str) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        """Decode one file, or take it from memory."""
        if path in self._cached:
            return self._cached[path]
        found = read_image(
            path,
            color_order=self.color_order,
            color_type=self.color_type,
            imdecode_backend=self.imdecode_backend,
            nodata_fill=self.nodata_fill,
            backend_args=self.backend_args)
        if self.cache:
            found[0].flags.writeable = False
            self._cached[path] = found
        return found

    def preload(self, data_list: Sequence[dict]) -> None:
        """Decode the images of all samples into memory.

        Args:
            data_list (Sequence[dict]): Samples with ``img_path``.
        """
        paths = [path for info in data_list for path in info['img_path']]
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._read, paths))

    def _check_bands(self, paths: List[str],
                     images: List[np.ndarray]) -> None:
        """Compare band counts with those asked for."""
        if self.channels is None:
            return
        if len(images) not in (len(self.channels), 2):
            raise DatasetError(
                f'a sample has {len(images)} images ({", ".join(paths)}), '
                f'expected {len(self.channels)}: channels={self.channels}')
        for path, image, bands in zip(paths, images, self.channels):
            if image.shape[2] != bands:
                raise DatasetError(
                    f'{path} has {image.shape[2]} bands, expected {bands}: '
                    f'channels={self.channels}')

    def transform(self, results: dict) -> Optional[dict]:
        """Load the images.

        Args:
            results (dict): With ``img_path``.

        Returns:
            dict: With ``img`` and its shape.
        """
        paths = results['img_path']
        try:
            loaded = [self._read(path) for path in paths]
        except DatasetError as error:
            if self.ignore_empty and isinstance(error.__cause__,
                                                FileNotFoundError):
                return None
            raise
        images = [image for image, _ in loaded]
        self._check_bands(paths, images)
        masks = [missing for _, missing in loaded]
        if results.get('test_mode', False):
            # What a guide lacks says nothing of what is predicted without.
            masks = masks[:2]
        masks = [missing for missing in masks if missing is not None]
        if self.to_float32:
            images = [image.astype(np.float32) for image in images]
        results['img'] = images
        results['img_shape'] = results['ori_shape'] = images[0].shape[:2]
        results['color_order'] = self.color_order
        check_same_size(results)
        if masks:
            results['nodata_mask'] = np.logical_or.reduce(masks)
        return results

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(to_float32={self.to_float32}, '
                f'color_type={self.color_type!r}, '
                f'imdecode_backend={self.imdecode_backend!r}, '
                f'color_order={self.color_order!r}, '
                f'channels={self.channels}, cache={self.cache})')


@TRANSFORMS.register_module()
class MultiImgLoadAnnotations(BaseTransform):
    """Load the change label: 0 unchanged, 1 changed, 255 ignored.

    The data set says which raw values its labels use; without that, each
    file must use 0 and 1, or 0 and 255. Pixels without data in an image are
    ignored. It may come before the geometric transforms, which then turn
    the label with the images, or, at test time, after a resize or flip that
    the label does not take part in.

    Required keys: ``seg_map_path``. Added keys: ``gt_seg_map`` (uint8,
    ``(H, W)``), ``seg_fields``.

    Args:
        reduce_zero_label (bool, optional): Accepted for the sake of Open-CD;
            only None and False make sense. Default: None.
        imdecode_backend (str): Accepted for the sake of Open-CD; labels are
            always read with Pillow or rasterio. Default: ``'pillow'``.
        ignore_index (int): Label of ignored pixels. Default: 255.
        cache (bool): Whether to keep labels in memory, as the images' loader
            does. Default: False.
        backend_args (dict, optional): Of the file client. Default: None.

    Raises:
        DatasetError: If there is no label, or one that cannot be read, has
            wrong values or another size than the images.
    """

    def __init__(self,
                 reduce_zero_label: Optional[bool] = None,
                 imdecode_backend: str = 'pillow',
                 ignore_index: int = 255,
                 cache: bool = False,
                 backend_args: Optional[dict] = None) -> None:
        if reduce_zero_label:
            raise ValueError('reduce_zero_label=True would ignore what did '
                             'not change, expected None or False')
        self.imdecode_backend = imdecode_backend
        self.ignore_index = ignore_index
        self.cache = cache
        self.backend_args = backend_args
        self._cached: Dict[str, np.ndarray] = {}

    def _load(self, results: dict) -> np.ndarray:
        """Read one label and give it the values 0, 1 and ignore."""
        path = results['seg_map_path']
        if path in self._cached:
            return self._cached[path]
        label = self._binary(read_label(path, self.backend_args), results)
        if self.cache:
            label.flags.writeable = False
            self._cached[path] = label
        return label

    def _binary(self, raw: np.ndarray, results: dict) -> np.ndarray:
        """Map raw values to 0, 1 and ignore."""
        threshold = results.get('label_threshold')
        if threshold is not None:
            return (raw >= threshold).astype(np.uint8)
        values = label_values(raw)
        meant = results.get('label_values')
        ignore_255 = meant is not None and 1 in meant and 255 in meant
        if meant is None:
            meant = find_range(values)
        if meant is None or not set(values) <= set(meant):
            expected = (
                ranges_in_words(ignore_255) if meant is None or ignore_255
                else '{' + ', '.join(map(str, meant)) + '}')
            raise DatasetError(
                f'{results["seg_map_path"]} has the values {values[:8]}, '
                f'expected {expected}')
        if ignore_255:
            return np.where(raw == 255, self.ignore_index,
                            raw).astype(np.uint8)
        return (raw != 0).astype(np.uint8)

    def check_set(self, info: dict) -> None:
        """Refuse a set without labels.

        Args:
            info (dict): A sample, with ``seg_map_path`` if it has a label.
        """
        if 'seg_map_path' not in info:
            raise DatasetError(
                f'{info["img_path"][0]} has no label to load: expected the '
                "key seg_map_path in the data set's data_prefix, or a "
                'pipeline without MultiImgLoadAnnotations')

    def preload(self, data_list: Sequence[dict]) -> None:
        """Read the labels of all samples into memory.

        Args:
            data_list (Sequence[dict]): Samples with ``seg_map_path``.
        """
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._load, data_list))

    def transform(self, results: dict) -> dict:
        """Load the label.

        Args:
            results (dict): With ``seg_map_path``.

        Returns:
            dict: With ``gt_seg_map``.
        """
        self.check_set(results)
        label = self._load(results)
        size = tuple(results.get('ori_shape', label.shape))
        if label.shape != size:
            raise DatasetError(
                f'{results["seg_map_path"]} is {label.shape[0]} x '
                f'{label.shape[1]}, expected {size[0]} x {size[1]} (height '
                f'x width) as {results["img_path"][0]}')
        missing = results.pop('nodata_mask', None)
        if missing is not None:
            label = np.where(missing, np.uint8(self.ignore_index), label)
        results['gt_seg_map'] = label
        results['seg_fields'] = [
            key for key in results.get('seg_fields', ())
            if key != 'gt_seg_map'
        ] + ['gt_seg_map']
        return results

    def __repr__(self) -> str:
        """Name the arguments."""
        return (f'{type(self).__name__}(ignore_index={self.ignore_index}, '
                f'cache={self.cache})')
