"""Patches of the images of a set, with the same windows for all of them."""
import functools
from pathlib import Path
from typing import List, Mapping, NamedTuple, Sequence

import numpy as np

from .converting import (
    ConversionError,
    Job,
    list_images,
    match_stems,
    read_image,
    save_image,
)
from .reading import DatasetError, _rasterio, is_raster, read_header

EDGES = ('align', 'drop')


class Window(NamedTuple):
    """A square of an image.

    Attributes:
        top (int): First row.
        left (int): First column.
        size (int): Rows and columns.
    """

    top: int
    left: int
    size: int

    @property
    def name(self) -> str:
        """First and end row, first and end column: ``0_512_512_1024``."""
        return (f'{self.top}_{self.top + self.size}_{self.left}_'
                f'{self.left + self.size}')


def starts(length: int, size: int, overlap: int = 0,
           edge: str = 'align') -> List[int]:
    """Where patches start along one axis.

    Args:
        length (int): Of the axis, pixels.
        size (int): Of a patch.
        overlap (int): Pixels that neighbours share. Defaults to 0.
        edge (str): What becomes of a rest at the end: ``'align'`` adds a
            patch that ends there and overlaps more, ``'drop'`` leaves the
            rest out. Defaults to 'align'.

    Returns:
        list[int]: Empty where the axis is shorter than a patch.

    Raises:
        ConversionError: For a size or overlap that makes no grid, or another
            edge.
    """
    if size < 1 or not 0 <= overlap < size:
        raise ConversionError(f'patches of {size} pixels with an overlap of '
                              f'{overlap}: expected 0 <= overlap < size')
    if edge not in EDGES:
        raise ConversionError(f'edge={edge!r}: expected one of {EDGES}')
    found = list(range(0, length - size + 1, size - overlap))
    if edge == 'align' and found and found[-1] + size < length:
        found.append(length - size)
    return found


def windows(height: int, width: int, size: int, overlap: int = 0,
            edge: str = 'align') -> List[Window]:
    """All patches of an image, row by row; see :func:`starts`."""
    columns = starts(width, size, overlap, edge)
    return [Window(top, left, size)
            for top in starts(height, size, overlap, edge)
            for left in columns]


def common_size(paths: Sequence[Path]) -> tuple:
    """Height and width that all files share.

    Raises:
        ConversionError: If they differ, or one cannot be read.
    """
    try:
        sizes = [tuple(read_header(str(path))[:2]) for path in paths]
    except DatasetError as error:
        raise ConversionError(str(error)) from None
    if len(set(sizes)) > 1:
        found = ', '.join(f'{path} {height} x {width}'
                          for path, (height, width) in zip(paths, sizes))
        raise ConversionError(f'images differ in size: {found}; expected '
                              'one size (height x width)')
    return sizes[0]


@functools.lru_cache(maxsize=4)
def _decoded(path: str) -> np.ndarray:
    """The last images, each of which gives many patches."""
    return read_image(path)


def patch_suffix(source: Path) -> str:
    """Suffix of a patch: ``.tif`` of what may lie on a map, else ``.png``."""
    return '.tif' if is_raster(str(source)) else '.png'


def patch_job(source: Path, target: Path, window: Window) -> Job:
    """A job that writes one patch, without loss.

    A patch of a GeoTIFF (or what else rasterio reads) is a GeoTIFF with
    coordinate system, position, nodata and colours of its part; only the
    window is read. Other images are decoded once.

    Args:
        source (Path): The image.
        target (Path): The patch, with the suffix of :func:`patch_suffix`.
        window (Window): What to cut out.

    Returns:
        Job: See :mod:`opencd_gold.datasets.converting`.
    """

    def write(path: Path) -> None:
        if is_raster(str(source)):
            _write_raster(source, path, window)
            return
        rows = slice(window.top, window.top + window.size)
        columns = slice(window.left, window.left + window.size)
        save_image(path, _decoded(str(source))[rows, columns])

    return Job(target, write, source)


def _write_raster(source: Path, target: Path, window: Window) -> None:
    rasterio = _rasterio()
    part = rasterio.windows.Window(window.left, window.top, window.size,
                                   window.size)
    with rasterio.open(source) as image:
        profile = dict(
            driver='GTiff',
            height=window.size,
            width=window.size,
            count=image.count,
            dtype=image.dtypes[0],
            crs=image.crs,
            transform=image.window_transform(part),
            nodata=image.nodata,
            compress='deflate')
        with rasterio.open(target, 'w', **profile) as patch:
            patch.write(image.read(window=part))
            patch.colorinterp = image.colorinterp
            for band in image.indexes:
                if image.colorinterp[band - 1].name == 'palette':
                    patch.write_colormap(band, image.colormap(band))


def crop_jobs(sources: Mapping[str, Path],
              targets: Mapping[str, Path],
              stem: str,
              size: int,
              overlap: int = 0,
              edge: str = 'align') -> List[Job]:
    """Jobs that write all patches of one sample.

    Args:
        sources (Mapping[str, Path]): Its images and label, by folder.
        targets (Mapping[str, Path]): Where each goes, by the same names.
        stem (str): Start of the names of the patches; the window follows.
        size (int): Of a patch.
        overlap (int): See :func:`starts`. Defaults to 0.
        edge (str): See :func:`starts`. Defaults to 'align'.

    Returns:
        list[Job]: None where the images are smaller than a patch.

    Raises:
        ConversionError: If the images differ in size.
    """
    height, width = common_size(list(sources.values()))
    return [
        patch_job(
            source,
            targets[folder] / f'{stem}_{window.name}{patch_suffix(source)}',
            window)
        for window in windows(height, width, size, overlap, edge)
        for folder, source in sources.items()
    ]


def gather(root: Path, folders: Sequence[str]) -> dict:
    """Samples of folders that lie side by side.

    Args:
        root (Path): Holds the folders.
        folders (Sequence[str]): Their names.

    Returns:
        dict[str, dict[str, Path]]: ``{stem: {folder: path}}``, in natural
        order.

    Raises:
        ConversionError: If a folder or a file of a sample is missing.
    """
    images = {folder: list_images(root / folder) for folder in folders}
    return {
        stem: {folder: images[folder][stem] for folder in folders}
        for stem in match_stems(images)
    }


def existing_splits(root: Path, splits: Sequence[str]) -> List[str]:
    """Those of the splits that are folders of ``root``; ``['']`` if none."""
    return [split for split in splits if (root / split).is_dir()] or ['']


def shares_to_counts(total: int, shares: Sequence[float]) -> List[int]:
    """How many of ``total`` each share gets: whole numbers, rounded down.

    The last share gets the rest.

    Raises:
        ConversionError: If a share is negative or all are 0.
    """
    whole = sum(shares)
    if min(shares) < 0 or whole <= 0:
        raise ConversionError(f'shares {list(shares)}: expected numbers of 0 '
                              'or more, not all 0')
    # What is a whole number but for rounding stays one.
    counts = [int(total * share / whole + 1e-9) for share in shares[:-1]]
    return [*counts, total - sum(counts)]


def share_out(items: Sequence, counts: Sequence[int],
              seed: int = None) -> List[list]:
    """Deal items out, in order or shuffled.

    Args:
        items (Sequence): What to deal out.
        counts (Sequence[int]): How many to each; together no more than there
            are.
        seed (int, optional): Of the shuffle. Defaults to None, in order.

    Returns:
        list[list]: One for each count.

    Raises:
        ConversionError: If there are too few items.
    """
    if sum(counts) > len(items) or min(counts) < 0:
        raise ConversionError(f'{list(counts)} of {len(items)}: expected '
                              'counts of 0 or more that sum up to no more')
    order = range(len(items)) if seed is None else (
        np.random.default_rng(seed).permutation(len(items)))
    ends = np.cumsum(counts)
    return [[items[i] for i in sorted(order[end - count:end])]
            for end, count in zip(ends, counts)]


def list_job(target: Path, names: Sequence[str]) -> Job:
    """A job that writes a list file, one name a line."""
    text = ''.join(f'{name}\n' for name in names)
    return Job(target, lambda path: path.write_text(text), shared=True)
