"""Patches of the images of a set, with the same windows for all of them."""
import functools
import re
from pathlib import Path
from typing import (
    Collection,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import numpy as np
from mmengine.logging import print_log
from PIL import Image

from .converting import (
    ConversionError,
    Job,
    folder_names,
    list_images,
    match_stems,
    read_image,
    save_image,
)
from .reading import DatasetError, _rasterio, is_raster, read_header

EDGES = ('align', 'drop')
_PATCH = re.compile(r'(.+)_(\d+)_(\d+)_(\d+)_(\d+)')


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


def read_name(stem: str) -> Tuple[str, Optional[Window]]:
    """Image and place of a patch, by a name that :func:`crop_jobs` gives.

    Args:
        stem (str): ``<image>_<y0>_<y1>_<x0>_<x1>``.

    Returns:
        tuple[str, Window | None]: Stem of the image and the window; the stem
        itself and None if it is no such name.
    """
    match = _PATCH.fullmatch(stem)
    if match:
        top, bottom, left, right = map(int, match.groups()[1:])
        if bottom - top == right - left > 0:
            return match[1], Window(top, left, bottom - top)
    return stem, None


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
def _decoded(path: str) -> Union[np.ndarray, Image.Image]:
    """The last images, each of which gives many patches.

    With a palette they stay what they are: a label has indices, an image
    colours.
    """
    with Image.open(path) as image:
        if image.mode != 'P':
            return read_image(path)
        try:
            image.load()
        except (OSError, SyntaxError) as error:
            raise ConversionError(
                f'{path}: cannot be read as an image: {error}') from None
        return image


def patch_suffix(source: Path) -> str:
    """Suffix of a patch: ``.tif`` of what may lie on a map, else ``.png``."""
    return '.tif' if is_raster(str(source)) else '.png'


def patch_job(source: Path, target: Path, window: Window,
              colour: bool = False) -> Job:
    """A job that writes one patch, without loss.

    A patch of a GeoTIFF (or what else rasterio reads) is a GeoTIFF with
    coordinate system, position, nodata and colours of its part; only the
    window is read. Other images are decoded once.

    Args:
        source (Path): The image.
        target (Path): The patch, with the suffix of :func:`patch_suffix`.
        window (Window): What to cut out.
        colour (bool): Write the band of a grey image three times. Defaults
            to False.

    Returns:
        Job: See :mod:`opencd_gold.datasets.converting`.
    """

    def write(path: Path) -> None:
        if is_raster(str(source)):
            _write_raster(source, path, window, colour)
            return
        image = _decoded(str(source))
        bottom, right = window.top + window.size, window.left + window.size
        if isinstance(image, Image.Image):
            image.crop((window.left, window.top, right, bottom)).save(path)
            return
        patch = image[window.top:bottom, window.left:right]
        if colour and patch.ndim == 2:
            patch = np.stack([patch] * 3, axis=-1)
        save_image(path, patch)

    return Job(target, write, source)


def _write_raster(source: Path, target: Path, window: Window,
                  colour: bool) -> None:
    rasterio = _rasterio()
    part = rasterio.windows.Window(window.left, window.top, window.size,
                                   window.size)
    with rasterio.open(source) as image:
        try:
            pixels = image.read(window=part)
        except rasterio.errors.RasterioError as error:
            raise ConversionError(
                f'{source}: cannot be read as an image: {error}') from None
        profile = dict(
            driver='GTiff',
            height=window.size,
            width=window.size,
            dtype=image.dtypes[0],
            crs=image.crs,
            transform=image.window_transform(part),
            nodata=image.nodata,
            compress='deflate')
        if colour and len(pixels) == 1:
            pixels = pixels.repeat(3, axis=0)
            profile['photometric'] = 'rgb'
        with rasterio.open(
                target, 'w', count=len(pixels), **profile) as patch:
            patch.write(pixels)
            if len(pixels) != image.count:
                return
            patch.colorinterp = image.colorinterp
            for band in image.indexes:
                if image.colorinterp[band - 1].name == 'palette':
                    patch.write_colormap(band, image.colormap(band))


def crop_jobs(sources: Mapping[str, Path],
              targets: Mapping[str, Path],
              stem: str,
              size: int,
              overlap: int = 0,
              edge: str = 'align',
              colour: Collection[str] = ()) -> List[Job]:
    """Jobs that write all patches of one sample.

    Args:
        sources (Mapping[str, Path]): Its images and label, by folder.
        targets (Mapping[str, Path]): Where each goes, by the same names.
        stem (str): Start of the names of the patches; the window follows.
        size (int): Of a patch.
        overlap (int): See :func:`starts`. Defaults to 0.
        edge (str): See :func:`starts`. Defaults to 'align'.
        colour (Collection[str]): Folders whose grey images get three equal
            bands. Defaults to none.

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
            window, folder in colour)
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


def existing_splits(root: Path, splits: Sequence[str],
                    folders: Sequence[str] = ()) -> List[str]:
    """Those of the splits that are folders of ``root``; ``['']`` if none.

    Args:
        root (Path): Data root.
        splits (Sequence[str]): Their names, letter by letter. Other folders
            that look like splits are said to be left out.
        folders (Sequence[str]): What ``root`` must hold if it has no split.
            Defaults to none.

    Raises:
        ConversionError: If a folder differs from a split in case only, or if
            there is neither a split nor all folders.
    """
    if not root.is_dir():
        raise ConversionError(f'{root}: no such folder')
    names = folder_names(root)
    wanted = {split.lower() for split in splits}
    alike = [name for name in names
             if name not in splits and name.lower() in wanted]
    if alike:
        raise ConversionError(
            f'{root}: holds {", ".join(alike)}, expected names of splits as '
            f'in {", ".join(splits)}; rename, or see --splits')
    found = [split for split in splits if split in names]
    others = [name for name in names if name not in splits and folders and all(
        (root / name / folder).is_dir() for folder in folders)]
    if not found and not set(folders) <= set(names):
        inside = ','.join(folders)
        raise ConversionError(
            f'{root}: expected {{{",".join(splits)}}}/{{{inside}}} or '
            f'{{{inside}}} in it, found the folders '
            f'{", ".join(names) or "none"}; see --splits and --folders')
    if others:
        print_log(f'{root}: left out {", ".join(others)}, not of the splits '
                  f'{", ".join(splits)}')
    return found or ['']


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


def check_not_empty(names: Sequence[str], shares: Sequence[float],
                    counts: Sequence[int], found: str, advice: str) -> None:
    """See that each split of a positive share gets something.

    Args:
        names (Sequence[str]): Of the splits.
        shares (Sequence[float]): Of each.
        counts (Sequence[int]): What each gets.
        found (str): How much there is to share out, for the message.
        advice (str): What to do, for the message.

    Raises:
        ConversionError: If a positive share comes to 0.
    """
    empty = [name for name, share, count in zip(names, shares, counts)
             if share > 0 and not count]
    if empty:
        raise ConversionError(
            f'{" and ".join(empty)} would be empty: {found} for the shares '
            f'{" : ".join(f"{share:g}" for share in shares)}; {advice}')


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


def share_out_bands(stems: Sequence[str],
                    shares: Sequence[float]) -> List[List[str]]:
    """Deal patches out by bands of rows of their image, from top to bottom.

    Each image is cut where a row of patches starts; patches that reach over
    a cut go to none.

    Args:
        stems (Sequence[str]): Names of patches, see :func:`read_name`.
        shares (Sequence[float]): Of each band, in rows of patches.

    Returns:
        list[list[str]]: One for each share.

    Raises:
        ConversionError: If a name tells no place.
    """
    images: dict = {}
    for stem in stems:
        image, window = read_name(stem)
        if window is None:
            raise ConversionError(
                f'{stem}: expected names of patches, '
                '<image>_<y0>_<y1>_<x0>_<x1>, to share out by place')
        images.setdefault(image, []).append((window, stem))
    parts: List[List[str]] = [[] for _ in shares]
    for patches in images.values():
        tops = sorted({window.top for window, _ in patches})
        counts = shares_to_counts(len(tops), shares)
        cuts = [*tops, float('inf')]
        for part, count, end in zip(parts, counts, np.cumsum(counts)):
            part += [stem for window, stem in patches
                     if cuts[end - count] <= window.top
                     and window.top + window.size <= cuts[end]]
    return parts


def find_overlaps(parts: Mapping[str, Sequence[str]]
                  ) -> List[Tuple[str, str]]:
    """Patches that share pixels with a patch of another split.

    Args:
        parts (Mapping[str, Sequence[str]]): Names of patches by split, see
            :func:`read_name`; other names are passed over.

    Returns:
        list[tuple[str, str]]: Each such patch and the first of the others,
        as ``<split>/<stem>``.
    """
    images: dict = {}
    for split, stems in parts.items():
        for stem in stems:
            image, window = read_name(stem)
            if window is not None:
                images.setdefault(image, []).append(
                    (window, split, f'{split}/{stem}'))
    found = []
    for patches in images.values():
        splits = np.array([split for _, split, _ in patches])
        top, left, size = np.array([window for window, _, _ in patches]).T
        if len(set(splits)) == 1:
            continue
        for window, split, name in patches:
            near = ((splits != split)
                    & (top < window.top + window.size)
                    & (window.top < top + size)
                    & (left < window.left + window.size)
                    & (window.left < left + size))
            if near.any():
                found.append((name, patches[near.argmax()][2]))
    return found


def list_job(target: Path, names: Sequence[str]) -> Job:
    """A job that writes a list file, one name a line."""
    text = ''.join(f'{name}\n' for name in names)
    return Job(target, lambda path: path.write_text(text), shared=True)
