"""A model's first draft: polygons of the change that it sees.

A job predicts a pair, or a region of it, tile by tile in the background, and
keeps the probability of each pixel in a file, one byte each. Polygons are
made of that whenever they are asked for, so that threshold and least area
can be chosen while looking. Blocks without a pixel above the threshold are
not read again.
"""
import itertools
import math
import queue
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Dict, Optional, Tuple

import numpy as np
from mmengine.logging import print_log
from rasterio.windows import Window

from opencd_gold.scenes.grid import Grid, ScenePair
from opencd_gold.scenes.parts import LEVELS, NODATA, quantize
from opencd_gold.scenes.predict import predict_cells
from opencd_gold.scenes.tiling import Axis
from opencd_gold.scenes.vectors import trace

from .background import yield_processor
from .errors import AnnotationError, Conflict, NotFound
from .geometry import to_polygons
from .imagery import PairInfo

_BLOCK = 512
_KEPT = 6
_WAITING = 20
_MOST = 5000

Region = Tuple[int, int, int, int]


class _Cancelled(Exception):
    """The job is not wanted any more."""


class LevelMap:
    """Levels of a probability, 0 to 254, in a file.

    Args:
        path (Path): Made, 0 everywhere.
        shape (tuple[int, int]): Rows and columns.
    """

    def __init__(self, path: Path, shape: Tuple[int, int]):
        self.path = path
        self.shape = shape
        with open(path, 'wb') as file:
            file.truncate(shape[0] * shape[1])
        self.highest = np.zeros(
            [math.ceil(side / _BLOCK) for side in shape], np.uint8)

    def _open(self, mode: str) -> np.memmap:
        # Opened anew each time: what is mapped counts as memory.
        return np.memmap(self.path, np.uint8, mode, shape=self.shape)

    def write(self, row: int, column: int, levels: np.ndarray) -> None:
        """Store levels ``(H, W)`` uint8, 255 where there is no data.

        They become 0, as what did not change.
        """
        levels = np.where(levels == NODATA, 0, levels).astype(np.uint8)
        height, width = levels.shape
        self._open('r+')[row:row + height, column:column + width] = levels
        for top in range(row // _BLOCK, (row + height - 1) // _BLOCK + 1):
            for left in range(column // _BLOCK,
                              (column + width - 1) // _BLOCK + 1):
                part = levels[max(0, top * _BLOCK - row):
                              (top + 1) * _BLOCK - row,
                              max(0, left * _BLOCK - column):
                              (left + 1) * _BLOCK - column]
                self.highest[top, left] = max(self.highest[top, left],
                                              part.max())

    def regions(self, threshold: float):
        """Regions above a probability, as ``scenes.vectors.trace``."""
        limit = threshold * LEVELS

        def read(window: Window):
            if self.highest[window.row_off // _BLOCK,
                            window.col_off // _BLOCK] <= limit:
                return None
            rows, columns = window.toslices()
            levels = np.array(self._open('r')[rows, columns])
            return levels > limit, levels

        return trace(read, self.shape, _BLOCK)


class Job:
    """One draft.

    Args:
        key (str): Of the job.
        info (PairInfo): The pair.
        region (Region): First column and row, and those after the last.
        path (Path): Of its probabilities.

    Attributes:
        state (str): ``'queued'``, ``'running'``, ``'done'``, ``'failed'`` or
            ``'cancelled'``.
        progress (float): 0 to 1.
        error (str, optional): Why it failed.
    """

    def __init__(self, key: str, info: PairInfo, region: Region, path: Path):
        self.key = key
        self.info = info
        self.region = region
        self.path = path
        self.state = 'queued'
        self.progress = 0.
        self.error: Optional[str] = None
        self.cancel = threading.Event()
        self.levels: Optional[LevelMap] = None

    def describe(self) -> dict:
        """What the page has to know."""
        return dict(job=self.key, state=self.state, progress=self.progress,
                    error=self.error, pair=self.info.pair.id,
                    region=list(self.region))

    def shapes(self, label: str, threshold: float, min_area: float,
               simplify: float = 1., limit: int = _MOST) -> dict:
        """Polygons of the draft.

        Args:
            label (str): Their class.
            threshold (float): Probability above which a pixel is changed.
            min_area (float): Smaller regions are left out, in square meters
                or, where pixels have none, in pixels.
            simplify (float): How far vertices may move, in pixels.
                Default: 1.
            limit (int): Polygons at most, the largest. Default: 5000.

        Returns:
            dict: ``shapes``, and ``found``, how many regions there are.

        Raises:
            Conflict: If the job is not done.
            AnnotationError: If a number is out of range.
        """
        if self.state != 'done':
            raise Conflict(f'the draft is {self.state}, expected a finished '
                           'one')
        if not 0 <= threshold <= 1 or not 0 <= min_area < math.inf or (
                not 0 <= simplify <= 100):
            raise AnnotationError(
                f'threshold {threshold}, min_area {min_area}, simplify '
                f'{simplify}: expected 0 to 1, and positive numbers')
        least = min_area / self.info.pixel_area
        found = [region for region in self.levels.regions(threshold)
                 if region.pixels >= least]
        total = len(found)
        found.sort(key=lambda region: -region.pixels)
        shapes = []
        for region in found[:limit]:
            outline = region.outline
            if simplify:
                outline = outline.simplify(simplify)
            for rings in to_polygons(outline):
                moved = [[[x + self.region[0], y + self.region[1]]
                          for x, y in ring] for ring in rings]
                shapes.append(dict(
                    id=f'{self.key}-{len(shapes)}', label=label,
                    rings=moved, source='model',
                    probability=region.probability))
        return dict(shapes=shapes, found=total)


class _Part:
    """A region of a pair, as a reader of its own."""

    def __init__(self, reader, left: int, top: int, width: int, height: int):
        self.reader = reader
        self.left, self.top = left, top
        self.grid = Grid(height, width, reader.grid.transform, None)

    def read(self, window: Window):
        """Pixels of both dates, see ``PairReader.read``."""
        return self.reader.read(Window(
            window.col_off + self.left, window.row_off + self.top,
            window.width, window.height))


class Drafts:
    """Jobs of a model, one at a time.

    Args:
        inferencer (ChangeInferencer, optional): The model. Default: None,
            there is none.
        folder (Path): Of the probabilities; a folder in it is made, and
            deleted in the end.
        pair_options (dict, optional): ``bands``, ``limits`` and
            ``resampling``, see
            :meth:`~opencd_gold.scenes.grid.ScenePair.of`.
    """

    def __init__(self, inferencer, folder: Path,
                 pair_options: Optional[dict] = None):
        self.inferencer = inferencer
        self.pair_options = dict(pair_options or {})
        self._parent = Path(folder)
        self._folder: Optional[Path] = None
        self._jobs: Dict[str, Job] = {}
        self._names = itertools.count(1)
        self._queue: queue.Queue = queue.Queue()
        self._lock = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._closed = False

    def describe(self) -> Optional[dict]:
        """What the page has to know of the model, None without one."""
        if self.inferencer is None:
            return None
        return dict(name=self.inferencer.spec.name,
                    threshold=self.inferencer.threshold)

    def start(self, info: PairInfo,
              region: Optional[Sequence[float]] = None) -> Job:
        """Begin a draft.

        Args:
            info (PairInfo): The pair.
            region (Sequence[float], optional): ``x0, y0, x1, y1``; what lies
                beyond the image is cut off. Default: None, all of it.

        Returns:
            Job: In the queue.

        Raises:
            Conflict: If there is no model, or too many jobs wait.
            AnnotationError: If the region is empty.
        """
        if self.inferencer is None:
            raise Conflict('there is no model: start the server with '
                           '--checkpoint')
        height, width = info.grid.shape
        x0, y0, x1, y1 = region or (0, 0, width, height)
        area = (max(0, math.floor(x0)), max(0, math.floor(y0)),
                min(width, math.ceil(x1)), min(height, math.ceil(y1)))
        if area[0] >= area[2] or area[1] >= area[3]:
            raise AnnotationError(f'region {region}: expected a part of the '
                                  f'image of {width} x {height} pixels')
        with self._lock:
            if self._closed or sum(job.state == 'queued' for job in
                                   self._jobs.values()) >= _WAITING:
                raise Conflict('too many drafts are waiting; cancel some')
            if self._folder is None:
                self._parent.mkdir(parents=True, exist_ok=True)
                self._folder = Path(tempfile.mkdtemp(
                    prefix='drafts-', dir=self._parent))
            key = str(next(self._names))
            job = Job(key, info, area, self._folder / f'{key}.levels')
            self._jobs[key] = job
            self._forget()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name='drafts', daemon=True)
                self._thread.start()
        self._queue.put(job)
        return job

    def _forget(self) -> None:
        """Delete the oldest finished jobs."""
        over = [job for job in self._jobs.values()
                if job.state not in ('queued', 'running')][:-_KEPT]
        for job in over:
            job.path.unlink(missing_ok=True)
            del self._jobs[job.key]

    def get(self, key: str) -> Job:
        """A job.

        Raises:
            NotFound: If there is none, or it was long ago.
        """
        job = self._jobs.get(key)
        if job is None:
            raise NotFound(f'no draft {key!r}; drafts of long ago are '
                           'deleted')
        return job

    def cancel(self, key: str) -> Job:
        """Stop a job; one that is finished stays."""
        job = self.get(key)
        job.cancel.set()
        with self._lock:
            if job.state == 'queued':
                job.state = 'cancelled'
        return job

    def close(self) -> None:
        """Stop all jobs and delete what they left."""
        with self._lock:
            self._closed = True
            for job in self._jobs.values():
                job.cancel.set()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _work(self) -> None:
        yield_processor()
        while True:
            job = self._queue.get()
            if job is None:
                return
            with self._lock:
                if job.cancel.is_set():
                    job.state = 'cancelled'
                    continue
                job.state = 'running'
            try:
                self._run(job)
                job.progress = 1.
                job.state = 'done'
            except _Cancelled:
                job.path.unlink(missing_ok=True)
                job.state = 'cancelled'
            except Exception as error:
                job.path.unlink(missing_ok=True)
                job.error = str(error) or type(error).__name__
                job.state = 'failed'
                print_log(f'draft of {job.info.pair.name}: {job.error}',
                          'current')

    def _run(self, job: Job) -> None:
        """Predict the region, with what lies around it for the network."""
        model = self.inferencer
        images = job.info.pair.images
        options = dict(nonfinite='nodata',
                       assume_same_grid=job.info.by_pixels)
        pair = ScenePair.of(images['A'], images['B'],
                            **{**options, **self.pair_options})
        height, width = job.info.grid.shape
        x0, y0, x1, y1 = job.region
        margin = model.overlap
        left, top = max(0, x0 - margin), max(0, y0 - margin)
        right, bottom = min(width, x1 + margin), min(height, y1 + margin)
        job.levels = LevelMap(job.path, (y1 - y0, x1 - x0))
        with pair.open(model.spec.channels) as reader:
            part = _Part(reader, left, top, right - left, bottom - top)
            rows, columns = (Axis.split(length, model.tile_size,
                                        model.overlap)
                             for length in part.grid.shape)
            total = len(rows) * len(columns)

            def predict(pixels):
                if job.cancel.is_set():
                    raise _Cancelled
                return model.backend(pixels)

            def advance(done):
                if job.cancel.is_set():
                    raise _Cancelled
                job.progress = min(1., job.progress + done / total)

            def take(row, column, cell, valid):
                levels = quantize(cell, valid, 0.5)[0]
                first = (rows.cell(row).start + top - y0,
                         columns.cell(column).start + left - x0)
                inside = tuple(
                    slice(max(0, -start), max(0, limit - start))
                    for start, limit in zip(first, job.levels.shape))
                levels = levels[inside]
                if levels.size:
                    job.levels.write(max(0, first[0]), max(0, first[1]),
                                     levels)

            predict_cells(predict, part, rows, columns, take, 1, advance)
