"""Overviews of images that have none, made in the background.

An image is read once, in windows, on the grid of A; averages of 4 x 4 pixels
are written to a GeoTIFF, whose own overviews GDAL makes then. Beside that a
preview of the whole image grows in memory. Files have the state of their
image in their names, so that an image that was changed gets others; the
folder can be deleted at any time.
"""
import hashlib
import math
import os
import threading
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import cv2
import numpy as np
import rasterio
from mmengine.logging import print_log
from rasterio.enums import Resampling
from rasterio.windows import Window

from .background import yield_processor

FACTOR = 4
_WINDOW = 1024
_PREVIEW = 512
_BLOCK = 256
_KINDS = {np.dtype(kind) for kind in ('u1', 'u2', 'i2', 'f4')}


def reduce(pixels: np.ndarray, valid: np.ndarray,
           factor: int) -> Tuple[np.ndarray, np.ndarray]:
    """Average pixels that hold data.

    Args:
        pixels (ndarray): ``(C, H, W)``.
        valid (ndarray): ``(H, W)`` bool; pixels that are not finite do not
            count either.
        factor (int): Side of what is averaged, in pixels.

    Returns:
        tuple[ndarray, ndarray]: ``(C, ceil(H / factor), ceil(W / factor))``
        of the same type, float32 for types that OpenCV does not know, and
        where at least one pixel held data.
    """
    if pixels.dtype.kind == 'f':
        valid = valid & np.isfinite(pixels).all(0)
    if factor == 1:
        return pixels, valid
    if pixels.dtype not in _KINDS:
        pixels = pixels.astype(np.float32)
    shape = [math.ceil(side / factor) for side in valid.shape]
    rest = [(0, factor * count - side)
            for count, side in zip(shape, valid.shape)]
    if any(pad for _, pad in rest):
        pixels, valid = np.pad(pixels, ((0, 0), *rest)), np.pad(valid, rest)
    if valid.all():
        found = [_average(band, shape) for band in pixels]
        return np.stack(found), np.ones(shape, bool)
    weight = _average(valid.astype(np.float32), shape)
    present = weight > 1e-6
    found = np.zeros((len(pixels), *shape), pixels.dtype)
    for band, target in zip(pixels, found):
        total = _average(np.where(valid, band, 0).astype(np.float32), shape)
        mean = total[present] / weight[present]
        if pixels.dtype.kind != 'f':
            mean = np.rint(mean)
        target[present] = mean
    return found, present


def _average(band: np.ndarray, shape) -> np.ndarray:
    return cv2.resize(band, tuple(shape[::-1]),
                      interpolation=cv2.INTER_AREA)


class _Job:
    """One image in work."""

    def __init__(self, image, target: Path):
        self.image = image
        self.target = target
        self.failed = False
        scale = 2**max(0, math.ceil(
            math.log2(max(image.grid.shape) / _PREVIEW)))
        # Windows are averaged on their own.
        self.scale = min(scale, _WINDOW)
        shape = [math.ceil(side / self.scale) for side in image.grid.shape]
        self.valid = np.zeros(shape, bool)
        self.pixels: Optional[np.ndarray] = None

    def show(self, pixels, valid, column: int, row: int) -> None:
        """Take a window into the preview."""
        small, present = reduce(pixels, valid, self.scale)
        if self.pixels is None:
            self.pixels = np.zeros((len(small), *self.valid.shape),
                                   small.dtype)
        place = (slice(row // self.scale, row // self.scale
                       + present.shape[0]),
                 slice(column // self.scale, column // self.scale
                       + present.shape[1]))
        self.pixels[(slice(None), *place)] = small
        self.valid[place] = present


class Overviews:
    """Files of overviews, made one after the other, the last wanted first.

    Args:
        folder (Path): Of the files; made when it is needed.

    Attributes:
        busy (Callable): Says whether someone waits for the processor; work
            pauses then. Default: never.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.busy = lambda: False
        self._jobs: Dict[str, _Job] = {}
        self._waiting: List[_Job] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def _target(self, image) -> Path:
        text = repr((image.state, image.bands, image.grid, image.own))
        name = hashlib.sha256(text.encode()).hexdigest()[:24]
        return self.folder / f'{name}.tif'

    def path(self, image) -> Optional[Path]:
        """File of an image, if it is complete."""
        target = self._target(image)
        return target if target.is_file() else None

    def want(self, image) -> None:
        """Make the file of an image, unless it is there or in work."""
        target = self._target(image)
        with self._lock:
            job = self._jobs.get(target.name)
            if job is not None and job in self._waiting:
                self._waiting.remove(job)
                self._waiting.append(job)
            if job is not None or target.is_file() or self._stop.is_set():
                return
            job = self._jobs[target.name] = _Job(image, target)
            self._waiting.append(job)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name='overviews', daemon=True)
                self._thread.start()

    def failed(self, image) -> bool:
        """Whether there will be no file of an image."""
        with self._lock:
            job = self._jobs.get(self._target(image).name)
        return job is not None and job.failed

    def preview(self, image, bands: Tuple[int, ...], window: Window,
                shape: Tuple[int, int]):
        """A window of what was averaged so far.

        Args:
            image (ImageInfo): The image.
            bands (tuple[int]): Of its file.
            window (Window): On its grid.
            shape (tuple[int, int]): Wanted.

        Returns:
            tuple[ndarray, ndarray] | None: Pixels and where they hold data;
            None where making the overviews failed, or they were made just
            now.
        """
        with self._lock:
            job = self._jobs.get(self._target(image).name)
        if job is None or job.failed:
            return None
        valid, pixels = job.valid, job.pixels
        if pixels is None:
            return (np.zeros((len(bands), *shape), np.uint8),
                    np.zeros(shape, bool))
        rows, columns = (
            np.minimum((start + (np.arange(count) + 0.5) * length / count)
                       // job.scale, limit - 1).astype(int)
            for start, length, count, limit in (
                (window.row_off, window.height, shape[0], valid.shape[0]),
                (window.col_off, window.width, shape[1], valid.shape[1])))
        chosen = [image.bands.index(band) for band in bands]
        return (pixels[np.ix_(chosen, rows, columns)],
                valid[np.ix_(rows, columns)])

    def wait(self, timeout: float = 60.) -> bool:
        """Wait until nothing is in work; tell whether that came true."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            with self._lock:
                if self._thread is None:
                    return True
            time.sleep(0.01)
        return False

    def close(self) -> None:
        """Stop; what is not finished is thrown away."""
        self._stop.set()
        thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        yield_processor()
        while True:
            with self._lock:
                if not self._waiting or self._stop.is_set():
                    self._thread = None
                    return
                job = self._waiting.pop()
            try:
                self._make(job)
            except Exception as error:
                job.failed = True
                print_log(f'no overviews of {job.image.state.path}: {error}',
                          'current')
                continue
            with self._lock:
                self._jobs.pop(job.target.name, None)

    def _make(self, job: _Job) -> None:
        """Write the file of one image."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = job.target.with_suffix(f'.{os.getpid()}.tmp')
        try:
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
                if not self._average(job, temporary):
                    return
                with rasterio.open(temporary, 'r+') as target:
                    target.build_overviews(
                        [2**(k + 1) for k in range(_steps(job.image))],
                        Resampling.average)
            os.replace(temporary, job.target)
        finally:
            temporary.unlink(missing_ok=True)

    def _average(self, job: _Job, path: Path) -> bool:
        """Write averages; tell whether all are."""
        height, width = job.image.grid.shape
        target = None
        try:
            with job.image.open() as reader:
                for row in range(0, height, _WINDOW):
                    for column in range(0, width, _WINDOW):
                        while self.busy() and not self._stop.is_set():
                            time.sleep(0.005)
                        if self._stop.is_set():
                            return False
                        pixels, valid = reader.read(Window(
                            column, row, min(_WINDOW, width - column),
                            min(_WINDOW, height - row)))
                        if pixels.dtype.kind == 'c':
                            pixels = np.abs(pixels)
                        job.show(pixels, valid, column, row)
                        pixels, valid = reduce(pixels, valid, FACTOR)
                        target = target or _create(path, job.image, pixels)
                        place = Window(column // FACTOR, row // FACTOR,
                                       *valid.shape[::-1])
                        target.write(pixels, window=place)
                        target.write_mask(np.uint8(255) * valid,
                                          window=place)
        finally:
            if target is not None:
                target.close()
        return True


def _steps(image) -> int:
    """How often the averages are halved."""
    return math.ceil(math.log2(
        max(image.grid.shape) / FACTOR / _BLOCK))


def _create(path: Path, image, pixels: np.ndarray):
    """An empty file of averages."""
    # GDAL scales by the sizes of overviews: they must be exact halves.
    unit = FACTOR * 2**_steps(image)
    height, width = (math.ceil(side / unit) * unit // FACTOR
                     for side in image.grid.shape)
    grid = image.grid
    return rasterio.open(
        path, 'w', driver='GTiff', count=len(pixels), height=height,
        width=width, dtype=pixels.dtype, crs=grid.crs,
        transform=grid.transform * rasterio.Affine.scale(FACTOR),
        tiled=True, blockxsize=_BLOCK, blockysize=_BLOCK,
        compress='deflate', zlevel=1, photometric='minisblack',
        bigtiff='if_safer')
