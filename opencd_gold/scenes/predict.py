"""A whole scene: read, predict and write at the same time.

1. A thread reads tiles, row by row; a column of pixels is read once a row.
2. This thread predicts batches of tiles. Tiles without data are skipped.
3. A thread blends, quantizes and writes what is finished.

Memory is that of a few batches of tiles, of the ramp between two rows of
tiles, and of GDAL's cache; it does not depend on the height of a scene, and on
its width with ``4 * overlap`` bytes a column.
"""
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Callable, Iterable, Iterator, List, Optional, Sequence

import numpy as np
import rasterio
from rasterio.windows import Window

from .grid import SceneError, ScenePair
from .parts import (
    PartStore,
    Statistics,
    digest,
    made_with,
    quantize,
)
from .pipeline import Drain, prefetch
from .tiling import Axis, Blender

Predict = Callable[[np.ndarray], np.ndarray]
# Rows of tiles of a file in strips that are 60,000 pixels wide.
_CACHE = 256 * 2**20
_POLL = 0.2


@dataclass
class Timer:
    """Where the time of a run went.

    Attributes:
        forward (float): Seconds in the network.
        total (float): Seconds from the first tile read to the last part
            written.
        tiles (int): Predicted.
    """

    forward: float = 0.
    total: float = 0.
    tiles: int = 0


def read_tiles(reader, rows: Axis, columns: Axis,
               runs: Iterable[range]) -> Iterator[tuple]:
    """Tiles in the order in which they are blended.

    Args:
        reader: With ``read(window)`` as
            :class:`~opencd_gold.scenes.grid.PairReader`.
        rows (Axis): Of the scene.
        columns (Axis): Of the scene.
        runs (Iterable[range]): Rows of cells that are wanted. The row of
            tiles before each run is read as well.

    Yields:
        tuple: Run, row, column, pixels ``(C, H, W)`` and ``(H, W)`` whether
        they hold data.
    """
    for run in runs:
        for row in range(max(run.start - 1, 0), run.stop):
            known, stop = None, 0
            for column, left in enumerate(columns.starts):
                start = max(left, stop)
                stop = left + columns.tile
                found = reader.read(Window(start, rows.starts[row],
                                           stop - start, rows.tile))
                if start > left:
                    found = [
                        np.concatenate([old[..., left - start:], new], -1)
                        for old, new in zip(known, found)
                    ]
                known = found
                yield (run, row, column, *found)


def run_tiles(predict: Predict,
              tiles: Iterable[tuple],
              consume: Callable,
              batch_size: int,
              advance: Optional[Callable[[int], None]] = None,
              timer: Optional[Timer] = None) -> None:
    """Predict tiles, reading and consuming beside it.

    Args:
        predict (Callable): ``(N, C, H, W)`` pixels to ``(N, H, W)``
            probability.
        tiles (Iterable): Of :func:`read_tiles`.
        consume (Callable): Called with run, row, column, probability and
            validity ``(H, W)`` of each tile, in order.
        batch_size (int): Tiles a batch.
        advance (Callable, optional): Called with the number of tiles that
            are done since. Default: None.
        timer (Timer, optional): To be filled. Default: None.
    """
    timer = timer or Timer()
    begin = time.perf_counter()
    ahead = prefetch(tiles, 2 * batch_size)
    try:
        with Drain(consume, 2 * batch_size) as drain:
            for batch in _batches(ahead, batch_size):
                full = [index for index, item in enumerate(batch)
                        if item[4].any()]
                found = [np.zeros(item[4].shape, np.float32)
                         for item in batch]
                if full:
                    stacked = np.stack([batch[index][3] for index in full])
                    start = time.perf_counter()
                    predicted = predict(stacked)
                    timer.forward += time.perf_counter() - start
                    timer.tiles += len(full)
                    for index, probability in zip(full, predicted):
                        found[index] = probability
                for item, probability in zip(batch, found):
                    drain.put(*item[:3], probability, item[4])
                if advance is not None:
                    advance(len(batch))
    finally:
        ahead.close()
    timer.total += time.perf_counter() - begin


def _batches(tiles: Iterable[tuple], size: int) -> Iterator[List[tuple]]:
    """Group tiles so that ``size`` of each group hold data."""
    batch, full = [], 0
    for item in tiles:
        batch.append(item)
        full += bool(item[4].any())
        if full == size or len(batch) == 4 * size:
            yield batch
            batch, full = [], 0
    if batch:
        yield batch


class _Cells:
    """Blends tiles of several runs, and hands cells on."""

    def __init__(self, rows: Axis, columns: Axis, take: Callable):
        self.rows, self.columns, self.take = rows, columns, take
        self._run = self._blender = None

    def __call__(self, run, row, column, probability, valid):
        if run is not self._run:
            self._run = run
            self._blender = Blender(self.rows, self.columns)
        cell = self._blender.add(row, column, probability)
        if row < run.start:
            return
        top, left = self.rows.starts[row], self.columns.starts[column]
        rows, columns = self.rows.cell(row), self.columns.cell(column)
        self.take(row, column, cell,
                  valid[rows.start - top:rows.stop - top,
                        columns.start - left:columns.stop - left])


class _ArrayReader:
    """Windows of arrays that are in memory."""

    def __init__(self, images: np.ndarray, valid: np.ndarray):
        self.images, self.valid = images, valid

    def read(self, window: Window):
        rows, columns = window.toslices()
        return self.images[:, rows, columns], self.valid[rows, columns]


def predict_array(predict: Predict, images: np.ndarray, valid: np.ndarray,
                  tile_size: int, overlap: int,
                  batch_size: int = 4) -> np.ndarray:
    """Predict one image in tiles that are blended.

    Args:
        predict (Callable): ``(N, C, H, W)`` pixels to ``(N, H, W)``
            probability.
        images (ndarray): ``(C, H, W)``.
        valid (ndarray): ``(H, W)`` bool.
        tile_size (int): Side of a tile, in pixels.
        overlap (int): Of neighbors, in pixels.
        batch_size (int): Tiles a batch. Default: 4.

    Returns:
        ndarray: Probability ``(H, W)`` float32.
    """
    rows, columns = (Axis.split(length, tile_size, overlap)
                     for length in valid.shape)
    found = np.zeros(valid.shape, np.float32)

    def take(row, column, cell, _):
        found[rows.cell(row), columns.cell(column)] = cell

    predict_cells(predict, _ArrayReader(images, valid), rows, columns, take,
                  batch_size)
    return found


def predict_cells(predict: Predict, reader, rows: Axis, columns: Axis,
                  take: Callable, batch_size: int = 4,
                  advance: Optional[Callable[[int], None]] = None) -> None:
    """Predict all that a reader holds, in tiles that are blended.

    Args:
        predict (Callable): ``(N, C, H, W)`` pixels to ``(N, H, W)``
            probability.
        reader: With ``read(window)`` as
            :class:`~opencd_gold.scenes.grid.PairReader`.
        rows (Axis): Of the reader.
        columns (Axis): Of the reader.
        take (Callable): Called in another thread with row, column,
            probability and validity of each finished cell.
        batch_size (int): Tiles a batch. Default: 4.
        advance (Callable, optional): Called with the number of tiles that
            are done since. Default: None.
    """
    tiles = read_tiles(reader, rows, columns, [range(len(rows))])
    run_tiles(predict, tiles, _Cells(rows, columns, take), batch_size,
              advance)


@dataclass
class SceneResult:
    """What became of a scene.

    Attributes:
        probability (Path): 8-bit GeoTIFF, 0 to 254 for 0 to 1, 255 nodata.
        mask (Path): 8-bit GeoTIFF, 1 changed, 0 unchanged, 255 nodata.
        statistics (dict): See
            :meth:`~opencd_gold.scenes.parts.Statistics.summary`; None for a
            process that did not make the maps.
        timer (Timer): Of this process.
        skipped (bool): Whether the maps were there already.
    """

    probability: Path
    mask: Path
    statistics: Optional[dict] = None
    timer: Timer = field(default_factory=Timer)
    skipped: bool = False


@dataclass(frozen=True)
class SceneOptions:
    """How a scene is predicted.

    Attributes:
        tile_size (int): Side of a tile, in pixels. Default: 512.
        overlap (int): Of neighboring tiles, in pixels, at most a third of
            the tile. Default: 128.
        threshold (float): Probability above which a pixel is changed.
            Default: 0.5.
        batch_size (int): Tiles a batch. Default: 4.
        overwrite (bool): Make maps anew that are there. Default: False.
        restart (bool): Throw away what an unfinished run left.
            Default: False.
        rank (int): Of this process, of those that share the scene.
            Default: 0.
        world_size (int): How many they are. Default: 1.
    """

    tile_size: int = 512
    overlap: int = 128
    threshold: float = 0.5
    batch_size: int = 4
    overwrite: bool = False
    restart: bool = False
    rank: int = 0
    world_size: int = 1


def predict_scene(predict: Predict,
                  channels: Sequence[int],
                  model: str,
                  pair: ScenePair,
                  out_dir: Path,
                  options: SceneOptions,
                  name: Optional[str] = None,
                  tags: Optional[dict] = None,
                  progress: Optional[Callable[[int, int], None]] = None
                  ) -> SceneResult:
    """Predict a scene of any size.

    Writes ``NAME_probability.tif`` and ``NAME_mask.tif``, cloud-optimized
    GeoTIFFs on the grid of the first image, nodata where either image has
    none. What was finished of an interrupted run is kept; a run with the
    same settings goes on with it. Maps that are complete are left alone.

    Args:
        predict (Callable): ``(N, C, H, W)`` pixels to ``(N, H, W)``
            probability.
        channels (Sequence[int]): Bands of each image that it takes.
        model (str): Tells it from other models.
        pair (ScenePair): The images.
        out_dir (Path): Folder of the maps.
        options (SceneOptions): How.
        name (str, optional): Of the maps. Default: None, that of the first
            image.
        tags (dict, optional): Metadata of the maps. Default: None.
        progress (Callable, optional): Called with the number of tiles that
            are done since the last call, and the number of all tiles that
            this process has to do. Default: None.

    Returns:
        SceneResult: Paths and statistics.

    Raises:
        SceneError: If the images do not fit together or cannot be read, the
            maps cannot be written, are there with other settings, or an
            unfinished run had other settings.
    """
    out_dir = Path(out_dir)
    name = name or Path(pair.first.path).stem
    targets = [out_dir / f'{name}_{kind}.tif'
               for kind in ('probability', 'mask')]
    with rasterio.Env(GDAL_CACHEMAX=_CACHE), pair.open(channels) as reader:
        grid = reader.grid
        settings = _settings(pair, grid, model, options)
        store_folder = out_dir / f'{name}.partial'
        if not options.overwrite and _is_done(targets, settings):
            if not options.rank:
                # A run that was killed at its very end leaves it.
                shutil.rmtree(store_folder, ignore_errors=True)
            return SceneResult(
                *targets, _count_map(*targets).summary(grid.pixel_area()),
                skipped=True)
        reader.probe()
        rows, columns = (
            Axis.split(length, options.tile_size, options.overlap)
            for length in grid.shape)
        store = PartStore(store_folder, rows, columns)
        if options.restart and options.world_size > 1:
            raise SceneError('restart: several processes share the scene; '
                             f'delete {store.folder} instead')
        result = SceneResult(*targets)
        share = _share(len(rows), options)
        if options.rank and not share:
            return result
        store.start(settings, options.restart)
        runs = store.missing(share)
        total = len(columns) * sum(
            len(run) + (run.start > 0) for run in runs)

        def take(row, column, cell, valid):
            store.add(row, column,
                      quantize(cell, valid, options.threshold))

        run_tiles(
            predict, read_tiles(reader, rows, columns, runs),
            _Cells(rows, columns, take), options.batch_size,
            progress and (lambda done: progress(done, total)), result.timer)
        if options.rank:
            return result
        # The other processes write to the same folder; no group of them is
        # needed, so none can time out.
        while store.missing(range(len(rows))):
            time.sleep(_POLL)
        statistics = store.statistics()
        result.statistics = statistics.summary(grid.pixel_area())
        for band, target in enumerate(targets, 1):
            store.join(band, target, grid, tags or {}, settings, statistics)
        store.remove()
    return result


def _share(count: int, options: SceneOptions) -> range:
    """Rows of cells of this process."""
    return range(count * options.rank // options.world_size,
                 count * (options.rank + 1) // options.world_size)


def _settings(pair: ScenePair, grid, model: str,
              options: SceneOptions) -> dict:
    """All that decides what the maps are."""
    settings = dict(
        model=model,
        tile_size=options.tile_size,
        overlap=options.overlap,
        threshold=options.threshold,
        assume_same_grid=pair.assume_same_grid,
        fill=pair.fill,
        grid=[*grid.shape, *grid.transform[:6]])
    for key in ('first', 'second'):
        layer = getattr(pair, key)
        path = Path(layer.path)
        state = dict(layer._asdict(), path=path.name)
        if path.exists():
            found = path.stat()
            state.update(size=found.st_size, modified=found.st_mtime_ns)
        settings[key] = state
    return settings


def _is_done(targets: Sequence[Path], settings: dict) -> bool:
    """Whether all maps are there, made with the same settings."""
    there = [path for path in targets if path.exists()]
    for path in there:
        if made_with(path) != digest(settings):
            raise SceneError(
                f'{path} exists, made with other settings or of other '
                'images; expected none. --overwrite makes it anew')
    return len(there) == len(targets)


def _count_map(probability: Path, mask: Path) -> Statistics:
    """Counts of finished maps."""
    levels, changed = np.zeros(256, np.int64), 0
    with rasterio.open(probability) as one, rasterio.open(mask) as other:
        for _, window in one.block_windows(1):
            block = one.read(1, window=window)
            levels += np.bincount(block.ravel(), minlength=256)
            changed += int((other.read(1, window=window) == 1).sum())
    return Statistics(levels, changed)


def describe(options: SceneOptions) -> dict:
    """Options as metadata of a map."""
    kept = ('tile_size', 'overlap', 'threshold')
    return {key.upper(): str(value) for key, value in asdict(options).items()
            if key in kept}
