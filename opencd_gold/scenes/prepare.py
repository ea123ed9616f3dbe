"""From raw scenes to tiles of a data set.

1. Files are grouped into scenes by a pattern.
2. All layers of a scene are put on one grid, by georeference.
3. Each tile is looked at: does it hold data, is it black, how much changed.
4. Tiles are split, by scenes or by blocks, so that no tile of one split
   touches one of another.
5. Tiles are written, window by window.

:func:`authors_tiles` is the way of the authors of GOLD instead; what differs
is said there.
"""
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import rasterio
import shapely
from rasterio.crs import CRS
from rasterio.transform import array_bounds, from_origin
from rasterio.warp import calculate_default_transform
from rasterio.warp import transform as transform_points
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from opencd_gold.datasets.converting import (
    ConversionError,
    Job,
    natural_key,
)
from opencd_gold.datasets.reading import IMAGE_SUFFIXES

from .grid import Grid, Layer, LayerReader, SceneError, common_crs
from .parts import writing

LABEL = 'label'
SPLITS = ('train', 'val', 'test')
_SAMPLE = 1024


class Scene(NamedTuple):
    """Files of one place.

    Attributes:
        name (str): Of the scene.
        paths (dict[str, Path]): By the folder that each goes to: A, B, C,
            label.
    """

    name: str
    paths: Dict[str, Path]


@dataclass(frozen=True)
class PrepareOptions:
    """How scenes become tiles.

    Attributes:
        size (int): Side of a tile, in pixels. Default: 512.
        stride (int): Between tiles, in pixels. Default: 512.
        crs (str, optional): Of the tiles. Default: None, that of A.
        resolution (float, optional): Size of a pixel, in units of the CRS.
            Default: None, that of A.
        resampling (str): Of images; labels take the nearest pixel.
            Default: ``'bilinear'``.
        limits (dict[str, tuple]): By folder, the values that become 0 and
            255. Default: none, as it is.
        changed (tuple[int], optional): Values of the label that are change.
            Default: None, all but 0.
        max_nodata (float): Share of a tile that may lack data; such pixels
            are labeled 255, and changed ones 1 instead of 255. Default: 0.
        max_black (float): Tiles whose A, B or C is black from this share of
            their pixels on are left out. Default: 0.95.
        black_level (float): Black up to this value in all bands, as
            written. Default: 5.
        tolerance (int): Pixels in which files without georeference may
            differ in size; they are cut to the smallest. Default: 0.
        ignore_georeference (bool): Take all files pixel by pixel.
            Default: False.
    """

    size: int = 512
    stride: int = 512
    crs: Optional[str] = None
    resolution: Optional[float] = None
    resampling: str = 'bilinear'
    limits: Mapping[str, Tuple[float, float]] = field(default_factory=dict)
    changed: Optional[Tuple[int, ...]] = None
    max_nodata: float = 0.
    max_black: float = 0.95
    black_level: float = 5
    tolerance: int = 0
    ignore_georeference: bool = False

    def __post_init__(self):
        if self.size < 1 or not 1 <= self.stride:
            raise ConversionError(f'size {self.size}, stride {self.stride}: '
                                  'expected positive numbers')
        for key in ('max_nodata', 'max_black'):
            if not 0 <= getattr(self, key) <= 1:
                raise ConversionError(f'{key} {getattr(self, key)}: expected '
                                      '0 to 1')


@dataclass(frozen=True)
class Tile:
    """One tile of a scene.

    Attributes:
        scene (int): Index of the scene.
        row (int): First row, in pixels of the scene's grid.
        column (int): First column.
        valid (float): Share of pixels with data in all layers.
        black (float): Share of black pixels, of the blackest image.
        changed (float): Share of changed pixels.
        split (str): ``'train'``, ``'val'`` or ``'test'``, once it is known.
    """

    scene: int
    row: int
    column: int
    valid: float
    black: float
    changed: float
    split: str = ''


def find_scenes(root: Path, pattern: str, roles: Mapping[str, str],
                skip_incomplete: bool = False
                ) -> Tuple[List[Scene], List[str]]:
    """Group files by a pattern.

    Args:
        root (Path): Searched with all folders below.
        pattern (str): Path below ``root`` with ``{name}``, ``{role}`` and
            ``*`` for anything, e.g. ``'{name}_{role}.*'``.
        roles (Mapping[str, str]): What stands for ``{role}``, by the folder
            that it goes to, e.g. ``{'A': 'A', 'C': 'D', 'label': 'E'}``.
        skip_incomplete (bool): Leave out scenes that lack a file.
            Default: False, an error.

    Returns:
        tuple[list[Scene], list[str]]: Scenes in natural order, and names of
        those left out.

    Raises:
        ConversionError: If there is no scene, a scene lacks a file, or has
            two for a role.
    """
    root = Path(root)
    if not root.is_dir():
        raise ConversionError(f'{root}: no such folder')
    if pattern.count('{name}') != 1 or pattern.count('{role}') != 1:
        raise ConversionError(f'pattern {pattern!r}: expected {{name}} and '
                              '{role}, once each')
    folders = {role: folder for folder, role in roles.items()}
    words = '|'.join(map(re.escape, sorted(folders, key=len, reverse=True)))
    expression = re.escape(pattern).replace(r'\*', '[^/]*')
    expression = expression.replace(r'\{name\}', '(?P<name>.+)').replace(
        r'\{role\}', f'(?P<role>{words})')
    found: Dict[str, Dict[str, Path]] = {}
    for path in sorted(root.rglob('*')):
        match = re.fullmatch(expression, path.relative_to(root).as_posix())
        if not match or path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        files = found.setdefault(match['name'], {})
        folder = folders[match['role']]
        if folder in files:
            raise ConversionError(f'{files[folder]} and {path} are both '
                                  f'{folder} of {match["name"]}')
        files[folder] = path
    scenes, left_out = [], []
    for name in sorted(found, key=natural_key):
        missing = [folder for folder in roles if folder not in found[name]]
        if not missing:
            scenes.append(Scene(name, found[name]))
        elif skip_incomplete:
            left_out.append(name)
        else:
            raise ConversionError(
                f'scene {name} has no {", ".join(missing)} '
                f'({pattern} with {", ".join(roles[key] for key in missing)})'
                f' in {root}; --skip-incomplete leaves it out')
    if not scenes:
        raise ConversionError(f'{root}: no scene fits {pattern!r} with the '
                              f'roles {dict(roles)}')
    return scenes, left_out


class SceneLayers:
    """The layers of a scene on one grid.

    Args:
        scene (Scene): Its files.
        options (PrepareOptions): How.

    Attributes:
        grid (Grid): Of the tiles.

    Raises:
        SceneError: If files cannot be read, do not overlap, or lack a
            georeference where sizes differ.
    """

    def __init__(self, scene: Scene, options: PrepareOptions):
        self.scene, self.options = scene, options
        self._stack = ExitStack()
        try:
            self.readers = self._open()
        except BaseException:
            self._stack.close()
            raise

    def _layer(self, folder: str) -> Layer:
        path = str(self.scene.paths[folder])
        if folder == LABEL:
            return Layer(path, (1, ), None, 'nearest', has_nodata=False)
        return Layer(path, None, self.options.limits.get(folder),
                     self.options.resampling)

    def _open(self) -> Dict[str, LayerReader]:
        with ExitStack() as stack:
            plain = {folder: stack.enter_context(
                LayerReader(self._layer(folder)))
                for folder in self.scene.paths}
            own = {folder: reader.own for folder, reader in plain.items()}
            first = own['A']
            if self.options.ignore_georeference or all(
                    grid.crs is None for grid in own.values()):
                return self._open_by_pixels(own)
            for folder, grid in own.items():
                if grid.crs is None and grid.shape == first.shape:
                    own[folder] = first
            georeferenced = [plain[folder] for folder in own
                             if own[folder] is plain[folder].own]
            common_crs([plain['A'], *georeferenced])
        self.grid = self._target(first)
        return {
            folder: self._stack.enter_context(
                LayerReader(self._layer(folder), self.grid, own=grid))
            for folder, grid in own.items()
        }

    def _open_by_pixels(self, own: Mapping[str, Grid]):
        """Files whose pixels are at the same places."""
        sizes = np.array([grid.shape for grid in own.values()])
        if (np.ptp(sizes, axis=0) > self.options.tolerance).any():
            found = ', '.join(
                f'{self.scene.paths[folder].name} {grid.height} x '
                f'{grid.width}' for folder, grid in own.items())
            raise SceneError(
                f'scene {self.scene.name}: files without georeference '
                f'differ in size (height x width): {found}; expected the '
                'same')
        height, width = sizes.min(axis=0)
        self.grid = replace(own['A'], height=int(height), width=int(width))
        return {folder: self._stack.enter_context(
            LayerReader(self._layer(folder))) for folder in own}

    def _target(self, first: Grid) -> Grid:
        """Grid of the tiles."""
        crs, step = self.options.crs, self.options.resolution
        if crs is None and step is None:
            return first
        crs = first.crs if crs is None else CRS.from_user_input(crs)
        bounds = array_bounds(*first.shape, first.transform)
        if crs == first.crs:
            west, south, east, north = bounds
            return Grid(
                max(1, round((north - south) / step)),
                max(1, round((east - west) / step)),
                from_origin(west, north, step, step), crs)
        transform, width, height = calculate_default_transform(
            first.crs, crs, first.width, first.height, *bounds,
            resolution=step)
        return Grid(height, width, transform, crs)

    def read(self, folder: str, row: int,
             column: int) -> Tuple[np.ndarray, np.ndarray]:
        """One layer of one tile, as it will be written.

        Args:
            folder (str): A, B, C or label.
            row (int): First row of the tile.
            column (int): First column.

        Returns:
            tuple[ndarray, ndarray]: ``(C, size, size)`` and ``(size, size)``
            whether it holds data; beyond the border 0 and False. The label
            is bool.
        """
        size = self.options.size
        height = min(size, self.grid.height - row)
        width = min(size, self.grid.width - column)
        reader = self.readers[folder]
        pixels, valid = reader.read(Window(column, row, width, height))
        if pixels.dtype.kind == 'f':
            valid = valid & np.isfinite(pixels).all(0)
        if folder == LABEL:
            changed = self.options.changed
            pixels = np.isin(pixels, changed) if changed else pixels > 0
        else:
            pixels = reader.scale(pixels)
        pixels = np.where(valid, pixels, 0).astype(pixels.dtype)
        rest = ((0, size - height), (0, size - width))
        return np.pad(pixels, ((0, 0), *rest)), np.pad(valid, rest)

    def look(self, index: int, row: int, column: int,
             blackness_of: Sequence[str]) -> Tile:
        """Measure one tile.

        Args:
            index (int): Of the scene.
            row (int): First row.
            column (int): First column.
            blackness_of (Sequence[str]): Images that may be black.

        Returns:
            Tile: Without split.
        """
        valid, black = True, 0.
        for folder in self.readers:
            pixels, present = self.read(folder, row, column)
            valid = valid & present
            if folder == LABEL:
                changed = float(pixels.mean())
            elif folder in blackness_of:
                dark = (pixels <= self.options.black_level).all(0)
                black = max(black, float(dark.mean()))
        return Tile(index, row, column, float(valid.mean()), black, changed)

    def transform_of(self, row: int, column: int):
        """Transform of a tile."""
        return window_transform(
            Window(column, row, self.options.size, self.options.size),
            self.grid.transform)

    def __enter__(self) -> 'SceneLayers':
        return self

    def __exit__(self, *error) -> None:
        self._stack.close()


def measure_limits(scenes: Iterable[Scene], options: PrepareOptions,
                   percentiles: Sequence[float] = (0.5, 99.5)
                   ) -> Dict[str, Tuple[float, float]]:
    """Values of each sensor that become 0 and 255, from all scenes.

    One pair a folder, so that bands keep their ratios and predicting can use
    the same (``--range-from``). 8-bit images stay as they are.

    Args:
        scenes (Iterable[Scene]): All of the set.
        options (PrepareOptions): Limits given there are kept.
        percentiles (Sequence[float]): Default: (0.5, 99.5).

    Returns:
        dict[str, tuple[float, float]]: By folder.

    Raises:
        SceneError: If a file cannot be read, or has no two values.
    """
    samples: Dict[str, list] = {}
    for scene in scenes:
        for folder, path in scene.paths.items():
            if folder == LABEL or folder in options.limits:
                continue
            with LayerReader(Layer(str(path))) as reader:
                if reader.dtype == np.uint8:
                    continue
                shape = [min(_SAMPLE, side) for side in reader.own.shape]
                pixels, valid = reader.read_small(tuple(shape))
            values = pixels[:, valid].astype(np.float64).ravel()
            samples.setdefault(folder, []).append(
                values[np.isfinite(values)])
    found = dict(options.limits)
    for folder, values in samples.items():
        values = np.concatenate(values)
        low, high = np.percentile(values, percentiles) if len(values) else (
            0, 0)
        if not low < high:
            raise SceneError(f'{folder}: all pixels have the same value, '
                             'expected some contrast to make 8 bit of')
        found[folder] = (float(low), float(high))
    return found


def starts(length: int, size: int, stride: int) -> List[int]:
    """First pixels of tiles within a length, the last at its end."""
    if length < size:
        return []
    found = list(range(0, length - size + 1, stride))
    if found[-1] + size < length:
        found.append(length - size)
    return found


def look_at_tiles(scenes: Sequence[Scene], options: PrepareOptions,
                  advance=None) -> Tuple[List[Tile], Dict[str, int]]:
    """Measure all tiles, and leave out those without data or light.

    Args:
        scenes (Sequence[Scene]): All of the set.
        options (PrepareOptions): How.
        advance (Callable, optional): Called after each scene.

    Returns:
        tuple[list[Tile], dict[str, int]]: Tiles that are kept, and how many
        were left out, by reason.
    """
    kept, left_out = [], dict(nodata=0, black=0, small_scenes=0)
    for index, scene in enumerate(scenes):
        with SceneLayers(scene, options) as layers:
            images = [key for key in scene.paths if key != LABEL]
            places = [
                starts(length, options.size, options.stride)
                for length in layers.grid.shape
            ]
            left_out['small_scenes'] += not all(places)
            for row in places[0]:
                for column in places[1]:
                    tile = layers.look(index, row, column, images)
                    if 1 - tile.valid > options.max_nodata:
                        left_out['nodata'] += 1
                    elif tile.black >= options.max_black:
                        left_out['black'] += 1
                    else:
                        kept.append(tile)
        if advance is not None:
            advance()
    return kept, left_out


# splitting -----------------------------------------------------------------


def footprints(scenes: Sequence[Scene], options: PrepareOptions,
               tiles: Sequence[Tile], gap: int = 0) -> np.ndarray:
    """Outlines of tiles in one plane.

    Scenes with a CRS share the plane of the first of them; each of the others
    has one of its own, far away.

    Args:
        scenes (Sequence[Scene]): All of the set.
        options (PrepareOptions): How.
        tiles (Sequence[Tile]): Some of their tiles.
        gap (int): Pixels by which outlines are wider on each side.
            Default: 0.

    Returns:
        ndarray: Polygons.
    """
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    plane, found = None, np.empty(len(tiles), object)
    by_scene: Dict[int, list] = {}
    for position, tile in enumerate(tiles):
        by_scene.setdefault(tile.scene, []).append(position)
    for index, positions in by_scene.items():
        with SceneLayers(scenes[index], options) as layers:
            grid = layers.grid
        where = np.array([(tiles[i].column, tiles[i].row)
                          for i in positions])
        points = (where[:, None] + corners * (options.size + 2 * gap)
                  - gap).reshape(-1, 2).astype(float)
        if grid.crs is None or options.ignore_georeference:
            # Further than any projection reaches.
            points += (1e9 * (index + 1), 0)
        else:
            x, y = grid.transform * (points[:, 0], points[:, 1])
            plane = plane or grid.crs
            if grid.crs != plane:
                x, y = transform_points(grid.crs, plane, x, y)
            points = np.stack([x, y], 1)
        found[positions] = shapely.polygons(points.reshape(-1, 4, 2))
    return found


def assign(counts: Sequence[int], ratios: Mapping[str, float],
           seed: int) -> List[str]:
    """Deal groups of tiles out to splits.

    From the largest group on, each goes to the split that lacks most; the
    last ones go where nothing is yet.

    Args:
        counts (Sequence[int]): Tiles of each group.
        ratios (Mapping[str, float]): Share of each split.
        seed (int): Decides among groups of one size.

    Returns:
        list[str]: Split of each group.

    Raises:
        ConversionError: If there are fewer groups than splits.
    """
    wanted = {split: ratio for split, ratio in ratios.items() if ratio > 0}
    if len(counts) < len(wanted):
        raise ConversionError(
            f'{len(counts)} groups of tiles are too few for the splits '
            f'{", ".join(wanted)}; --split blocks, or smaller blocks, makes '
            'more')
    order = np.random.default_rng(seed).permutation(len(counts))
    order = sorted(order, key=lambda index: -counts[index])
    total, scale = sum(counts), sum(wanted.values())
    lacking = {split: total * ratio / scale
               for split, ratio in wanted.items()}
    empty = set(wanted)
    result = [''] * len(counts)
    for position, index in enumerate(order):
        candidates = empty if len(order) - position == len(empty) else wanted
        split = max(sorted(candidates), key=lacking.get)
        result[index] = split
        lacking[split] -= counts[index]
        empty.discard(split)
    return result


def split_tiles(scenes: Sequence[Scene], options: PrepareOptions,
                tiles: Sequence[Tile], by: str, ratios: Mapping[str, float],
                block: int, gap: int, seed: int
                ) -> Tuple[List[Tile], int]:
    """Split tiles so that those of two splits are apart.

    Args:
        scenes (Sequence[Scene]): All of the set.
        options (PrepareOptions): How.
        tiles (Sequence[Tile]): All that are kept.
        by (str): ``'scene'``: scenes whose tiles come nearer than ``gap`` to
            each other stay together. ``'blocks'``: squares of each scene.
        ratios (Mapping[str, float]): Share of each split.
        block (int): Side of a block, in pixels.
        gap (int): Least distance of tiles of two splits, in pixels, at
            least 1. Tiles of train, then of val, that are nearer to others
            are left out.
        seed (int): Of the assignment.

    Returns:
        tuple[list[Tile], int]: Tiles with their splits, and how many were
        left out.

    Raises:
        ConversionError: If a split stays empty.
    """
    if gap < 1 or block < options.size:
        raise ConversionError(f'gap {gap}, block {block}: expected at least '
                              f'1, and the size of a tile, {options.size}')
    wide = footprints(scenes, options, tiles, gap)
    plain = footprints(scenes, options, tiles)
    tree = shapely.STRtree(plain)
    if by == 'scene':
        keys = [tile.scene for tile in tiles]
        keys = _merged(keys, tree.query(wide, 'intersects').T)
    else:
        half = options.size // 2
        keys = [(tile.scene, (tile.row + half) // block,
                 (tile.column + half) // block) for tile in tiles]
    groups = sorted(set(keys))
    number = {key: index for index, key in enumerate(groups)}
    counts = np.bincount([number[key] for key in keys],
                         minlength=len(groups))
    splits = assign(counts.tolist(), ratios, seed)
    found = [replace(tile, split=splits[number[key]])
             for tile, key in zip(tiles, keys)]
    near = tree.query(wide, 'intersects').T
    dropped = set()
    for yielding in ('train', 'val'):
        for one, other in near:
            if (found[one].split == yielding != found[other].split
                    and other not in dropped):
                dropped.add(one)
    result = [tile for index, tile in enumerate(found)
              if index not in dropped]
    for split, ratio in ratios.items():
        if ratio > 0 and not any(tile.split == split for tile in result):
            raise ConversionError(
                f'no tile is left for {split}, {len(dropped)} were too near '
                'to other splits; another --seed, larger blocks or a '
                'smaller --gap may help')
    return result, len(dropped)


def _merged(keys: Sequence[int], pairs: Iterable) -> List[int]:
    """Keys of which those that a pair connects become one."""
    parent = {key: key for key in keys}

    def root(key):
        while parent[key] != key:
            key = parent[key]
        return key

    for one, other in pairs:
        one, other = root(keys[one]), root(keys[other])
        parent[max(one, other)] = min(one, other)
    return [root(key) for key in keys]


# the authors' way ----------------------------------------------------------


def authors_options() -> PrepareOptions:
    """Sizes and thresholds of the authors of GOLD."""
    return PrepareOptions(
        size=512, stride=256, max_nodata=1., max_black=0.95, black_level=5,
        tolerance=2, ignore_georeference=True)


def authors_tiles(scenes: Sequence[Scene], options: PrepareOptions,
                  advance=None) -> Tuple[List[Tile], Dict[str, int]]:
    """Tiles and splits as the authors of GOLD make them.

    Departs from :func:`look_at_tiles` and :func:`split_tiles` in this:
    pixels are taken to correspond whatever the georeference; scenes whose
    files differ by more than two pixels are left out; tiles reach beyond the
    border, filled with 0; only A is looked at for black; a tile is left out
    that shares more than 0.8 of its area with one before, coordinates
    compared as if all scenes had one CRS; and tiles are split one by one, so
    that train and val overlap by half a tile. test is a copy of val. The
    order of scenes, which is random there, is sorted here.

    Args:
        scenes (Sequence[Scene]): All of the set.
        options (PrepareOptions): Of :func:`authors_options`.
        advance (Callable, optional): Called after each scene.

    Returns:
        tuple[list[Tile], dict[str, int]]: Tiles of train and val, and how
        many were left out, by reason.
    """
    tiles, boxes = [], np.empty((0, 4))
    left_out = dict(black=0, repeated=0, sizes=0)
    for index, scene in enumerate(scenes):
        try:
            layers = SceneLayers(scene, options)
        except SceneError as error:
            if 'differ in size' not in str(error):
                raise
            left_out['sizes'] += 1
            continue
        with layers:
            for row, column in _authors_places(layers.grid, options):
                box = _box(layers, row, column)
                if _is_repeated(box, boxes):
                    left_out['repeated'] += 1
                    continue
                tile = layers.look(index, row, column, ['A'])
                if tile.black >= options.max_black:
                    left_out['black'] += 1
                    continue
                tiles.append(tile)
                boxes = np.concatenate([boxes, [box]])
        if advance is not None:
            advance()
    return _authors_split(tiles), left_out


def _authors_places(grid: Grid, options: PrepareOptions):
    counts = [max(0, -(-(length - options.size) // options.stride)) + 1
              for length in grid.shape]
    return [(options.stride * i, options.stride * j)
            for i in range(counts[0]) for j in range(counts[1])]


def _box(layers: SceneLayers, row: int, column: int) -> np.ndarray:
    size = layers.options.size
    corners = [layers.grid.transform * (column + x, row + y)
               for x, y in ((0, 0), (size, size))]
    return np.concatenate([np.min(corners, 0), np.max(corners, 0)])


def _is_repeated(box: np.ndarray, boxes: np.ndarray) -> bool:
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = np.clip(high - low, 0, None).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    smaller = np.minimum(areas, (box[2:] - box[:2]).prod())
    return bool((shared > 0.8 * smaller).any())


def _authors_split(tiles: List[Tile]) -> List[Tile]:
    """One by one to val or train, by share of tiles and of change."""
    order = np.random.RandomState(666).permutation(len(tiles))
    share = np.mean([tile.changed for tile in tiles]) if tiles else 0.
    count, changed, result = 0, 0., []
    for position, index in enumerate(order, 1):
        tile = tiles[index]

        def cost(count, changed, position=position):
            return abs(count / position - 0.2) + abs(
                (changed / count if count else 0.) - share)

        with_it = cost(count + 1, changed + tile.changed)
        without = cost(count, changed)
        if with_it < without or (with_it == without
                                 and count < 0.2 * position):
            count, changed = count + 1, changed + tile.changed
            result.append(replace(tile, split='val'))
        else:
            result.append(replace(tile, split='train'))
    return result


# writing -------------------------------------------------------------------


class TileWriter:
    """Makes the jobs that write tiles.

    Args:
        scenes (Sequence[Scene]): All of the set.
        options (PrepareOptions): How.
        out (Path): Root of the data set.
        suffix (str): ``'.png'`` (with world file and CRS beside it) or
            ``'.tif'``.
        authors_names (bool): ``{scene}_original_x{x}_y{y}`` instead of
            ``{scene}_y{y}_x{x}``. Default: False.
    """

    def __init__(self, scenes: Sequence[Scene], options: PrepareOptions,
                 out: Path, suffix: str, authors_names: bool = False):
        self.scenes, self.options = scenes, options
        self.out, self.suffix = Path(out), suffix
        self.authors_names = authors_names
        self._open: Optional[Tuple[int, SceneLayers]] = None

    def name(self, tile: Tile) -> str:
        """Stem of a tile's files."""
        scene = self.scenes[tile.scene].name.replace('/', '_')
        if self.authors_names:
            return f'{scene}_original_x{tile.column}_y{tile.row}'
        return f'{scene}_y{tile.row:05d}_x{tile.column:05d}'

    def jobs(self, tiles: Sequence[Tile]) -> List[Job]:
        """One job for each file."""
        return [
            Job(self.out / tile.split / folder
                / f'{self.name(tile)}{self.suffix}',
                lambda path, tile=tile, folder=folder: self.write(
                    path, tile, folder), self.scenes[tile.scene].paths[folder])
            for tile in sorted(tiles, key=lambda tile: (
                tile.scene, tile.row, tile.column))
            for folder in self.scenes[tile.scene].paths
        ]

    def _layers(self, index: int) -> SceneLayers:
        """Layers of a scene, open until another is asked for."""
        if self._open is None or self._open[0] != index:
            self.close()
            self._open = index, SceneLayers(self.scenes[index], self.options)
        return self._open[1]

    def read(self, tile: Tile, folder: str) -> np.ndarray:
        """Pixels ``(C, H, W)`` of one file."""
        layers = self._layers(tile.scene)
        pixels, valid = layers.read(folder, tile.row, tile.column)
        if folder != LABEL:
            return pixels
        if not self.options.max_nodata or self.options.ignore_georeference:
            return np.where(pixels, 255, 0).astype(np.uint8)
        for other in layers.readers:
            valid = valid & layers.read(other, tile.row, tile.column)[1]
        return np.where(valid, pixels, 255).astype(np.uint8)

    def write(self, path: Path, tile: Tile, folder: str) -> None:
        """Write one file.

        Raises:
            SceneError: If it cannot be written; it is not there then.
        """
        pixels = self.read(tile, folder)
        layers = self._layers(tile.scene)
        options = dict(driver='GTiff', compress='deflate')
        if self.suffix == '.png':
            options = dict(driver='PNG', worldfile='YES')
        with writing(path):
            try:
                with rasterio.open(
                        path, 'w', count=len(pixels),
                        height=pixels.shape[1], width=pixels.shape[2],
                        dtype=pixels.dtype, crs=layers.grid.crs,
                        transform=layers.transform_of(
                            tile.row, tile.column), **options) as target:
                    target.write(pixels)
            except BaseException:
                path.unlink(missing_ok=True)
                raise

    def close(self) -> None:
        """Close the scene that is open."""
        if self._open is not None:
            self._open[1].__exit__()
            self._open = None


def suffix_for(scenes: Sequence[Scene], options: PrepareOptions) -> str:
    """``'.png'`` where all images are 8 bit of one or three bands."""
    for scene in scenes:
        for folder, path in scene.paths.items():
            if folder == LABEL:
                continue
            with LayerReader(Layer(str(path))) as reader:
                if len(reader.bands) not in (1, 3) or (
                        reader.dtype != np.uint8
                        and folder not in options.limits):
                    return '.tif'
    return '.png'
