"""Finished pieces of a map on disk, and the map made of them.

While a scene is predicted, its maps are kept in a folder ``NAME.partial``:

- ``journal.json``, the settings of the run and the state of its inputs;
- ``part-RRRRR-CCCC.tif``, a row of cells and a stretch of columns, two
  bands: probability and mask. Each is complete once it has its name.

A run that was killed goes on with the parts that are missing. In the end a
virtual raster of all parts is copied to a cloud-optimized GeoTIFF.
"""
import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence
from xml.sax.saxutils import escape

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from .grid import Grid, SceneError
from .tiling import Axis

NODATA = 255
LEVELS = 254
_TAG = 'OPENCD_GOLD_SETTINGS'
_PART_WIDTH = 8192
_BLOCK = 512
# GDAL keeps 100 parts open by default, each with buffers of its own, and a
# cache beside; each pixel of a part is needed once.
_JOINING = dict(GDAL_CACHEMAX=64 * 2**20, GDAL_MAX_DATASET_POOL_SIZE=10)


class Statistics(NamedTuple):
    """Counts of a map.

    Attributes:
        levels (ndarray): ``(256, )`` pixels of each level of the
            probability, the last those without data.
        changed (int): Pixels of the mask that are 1.
    """

    levels: np.ndarray
    changed: int

    def __add__(self, other: 'Statistics') -> 'Statistics':
        return Statistics(self.levels + other.levels,
                          self.changed + other.changed)

    def summary(self, pixel_area: Optional[float] = None) -> dict:
        """Figures for people.

        Args:
            pixel_area (float, optional): Square meters of a pixel.

        Returns:
            dict: ``pixels``, ``valid_pixels``, ``changed_pixels``,
            ``changed_share`` (of the valid ones), ``mean_probability`` and,
            where the area is known, ``changed_area_m2``.
        """
        valid = int(self.levels[:NODATA].sum())
        total = float((self.levels[:NODATA] * np.arange(NODATA)).sum())
        found = dict(
            pixels=int(self.levels.sum()),
            valid_pixels=valid,
            changed_pixels=self.changed,
            changed_share=self.changed / valid if valid else None,
            mean_probability=total / LEVELS / valid if valid else None)
        if pixel_area is not None:
            found['changed_area_m2'] = self.changed * pixel_area
        return found


def quantize(probability: np.ndarray, valid: np.ndarray,
             threshold: float) -> np.ndarray:
    """Map of 8 bits.

    Args:
        probability (ndarray): ``(H, W)``.
        valid (ndarray): ``(H, W)`` bool.
        threshold (float): Above it a pixel counts as changed.

    Returns:
        ndarray: ``(2, H, W)`` uint8: probability times 254, and mask, 0 or
        1; 255 where not valid.
    """
    # Weights sum to 1 up to rounding.
    levels = np.rint(np.clip(probability, 0, 1) * LEVELS)
    maps = np.stack([levels.astype(np.uint8),
                     (probability > threshold).astype(np.uint8)])
    maps[:, ~valid] = NODATA
    return maps


def count(maps: np.ndarray) -> Statistics:
    """Count the levels of ``(2, H, W)`` maps."""
    return Statistics(np.bincount(maps[0].ravel(), minlength=256),
                      int((maps[1] == 1).sum()))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file, and the space that is left, in an error of writing."""
    try:
        yield
    except (OSError, RasterioError) as error:
        free = shutil.disk_usage(existing(path)).free
        raise SceneError(
            f'{path} cannot be written: {error}; {free / 2**20:.0f} MiB are '
            'free there. What is finished stays; the same command goes on '
            'with it') from error


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = Path(path).absolute()
    while not path.exists():
        path = path.parent
    return path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is complete once it has its name.

    Args:
        path (Path): In a folder that is there.
        content (bytes): All of it.

    Raises:
        SceneError: If it cannot be written; nothing stays behind.
    """
    temporary = path.with_name(f'{path.name}.{os.getpid()}.tmp')
    with writing(path):
        try:
            with open(temporary, 'wb') as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def digest(settings: dict) -> str:
    """Short hash of settings."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def made_with(path: Path) -> Optional[str]:
    """Hash of the settings that a finished map was made with, if any."""
    try:
        with rasterio.open(path) as source:
            return source.tags().get(_TAG)
    except RasterioError:
        return None


class PartStore:
    """The folder of a scene in work.

    Args:
        folder (Path): ``NAME.partial``.
        rows (Axis): Of the scene.
        columns (Axis): Of the scene.
    """

    def __init__(self, folder: Path, rows: Axis, columns: Axis):
        self.folder = Path(folder)
        self.rows = rows
        self.columns = columns
        # Tiles that share a part.
        self.group = max(1, _PART_WIDTH // max(1, columns.tile))
        self.groups = -(-len(columns) // self.group)
        self._maps = None

    def start(self, settings: dict, restart: bool = False) -> None:
        """Make the folder, or take up what an earlier run left.

        Args:
            settings (dict): All that decides what the maps are.
            restart (bool): Throw away what is there. Default: False.

        Raises:
            SceneError: If an earlier run had other settings, or inputs that
                have changed since; the first difference is named.
        """
        if restart and self.folder.exists():
            shutil.rmtree(self.folder)
        journal = self.folder / 'journal.json'
        settings = json.loads(json.dumps(settings))
        if journal.is_file():
            found = json.loads(journal.read_text())
            for key in sorted(set(found) | set(settings)):
                if found.get(key) != settings.get(key):
                    raise SceneError(
                        f'{self.folder} was begun with {key} = '
                        f'{found.get(key)!r}, found {settings.get(key)!r} '
                        'now; expected the same, to go on. --restart '
                        'begins anew')
            return
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(journal, json.dumps(settings, indent=1).encode())

    def path(self, row: int, group: int) -> Path:
        """File of a part."""
        return self.folder / f'part-{row:05d}-{group:04d}.tif'

    def missing(self, rows: Sequence[int]) -> List[range]:
        """Rows of cells that are not complete, as runs."""
        runs: List[range] = []
        for row in rows:
            if all(self.path(row, group).is_file()
                   for group in range(self.groups)):
                continue
            if runs and runs[-1].stop == row:
                runs[-1] = range(runs[-1].start, row + 1)
            else:
                runs.append(range(row, row + 1))
        return runs

    def _extent(self, row: int, group: int):
        """Rows and columns of a part."""
        first = group * self.group
        last = min(first + self.group, len(self.columns)) - 1
        return self.rows.cell(row), slice(
            self.columns.cell(first).start, self.columns.cell(last).stop)

    def add(self, row: int, column: int, maps: np.ndarray) -> None:
        """Take a finished cell, in order of rows and columns.

        Args:
            row (int): Of the cell.
            column (int): Of the cell.
            maps (ndarray): Of :func:`quantize`.

        Raises:
            SceneError: If a part cannot be written.
        """
        group, position = divmod(column, self.group)
        rows, columns = self._extent(row, group)
        if position == 0:
            self._maps = np.empty(
                (2, rows.stop - rows.start, columns.stop - columns.start),
                np.uint8)
        cell = self.columns.cell(column)
        self._maps[:, :, cell.start - columns.start:
                   cell.stop - columns.start] = maps
        if cell.stop == columns.stop:
            self._write(self.path(row, group), self._maps)

    @staticmethod
    def _write(path: Path, maps: np.ndarray) -> None:
        """Encode a part in memory, then write it at once."""
        found = count(maps)
        with MemoryFile() as memory:
            with memory.open(
                    driver='GTiff', count=2, height=maps.shape[1],
                    width=maps.shape[2], dtype='uint8', tiled=True,
                    blockxsize=256, blockysize=256, interleave='band',
                    compress='deflate', zlevel=1) as target:
                target.write(maps)
                target.update_tags(levels=json.dumps(found.levels.tolist()),
                                   changed=found.changed)
            memory.seek(0)
            write_atomically(path, memory.read())

    def statistics(self) -> Statistics:
        """Counts of all parts.

        Raises:
            SceneError: If a part is damaged.
        """
        total = Statistics(np.zeros(256, np.int64), 0)
        for row in range(len(self.rows)):
            for group in range(self.groups):
                path = self.path(row, group)
                try:
                    with rasterio.open(path) as source:
                        tags = source.tags()
                except RasterioError as error:
                    raise SceneError(
                        f'{path} is damaged: {error}; delete it, and the '
                        'same command makes it again') from error
                total += Statistics(np.array(json.loads(tags['levels'])),
                                    int(tags['changed']))
        return total

    def join(self, band: int, target: Path, grid: Grid,
             tags: Dict[str, str], settings: dict,
             expected: Statistics) -> None:
        """Make one map of the parts.

        Args:
            band (int): 1 for the probability, 2 for the mask.
            target (Path): GeoTIFF to write, replaced at once.
            grid (Grid): Of the map.
            tags (dict): Metadata of the file.
            settings (dict): Of :meth:`start`; their hash is stored.
            expected (Statistics): Of all parts, to check what was written.

        Raises:
            SceneError: If it cannot be written.
        """
        virtual = self.folder / f'band{band}.vrt'
        write_atomically(
            virtual,
            self._virtual(band, grid, {**tags, _TAG: digest(settings)})
            .encode())
        temporary = self.folder / f'band{band}.tif'
        with writing(target), rasterio.Env(**_JOINING):
            rasterio.shutil.copy(
                str(virtual), str(temporary), driver='COG',
                BLOCKSIZE=_BLOCK, COMPRESS='DEFLATE', LEVEL=6,
                BIGTIFF='IF_SAFER', NUM_THREADS='ALL_CPUS',
                OVERVIEW_RESAMPLING='AVERAGE' if band == 1 else 'MODE')
            self._check(temporary, band, expected)
            os.replace(temporary, target)

    def remove(self) -> None:
        """Delete the folder, once the maps are in place."""
        shutil.rmtree(self.folder)

    @staticmethod
    def _check(path: Path, band: int, expected: Statistics) -> None:
        """Read back what was written; GDAL misses some failed writes."""
        levels = np.zeros(256, np.int64)
        with rasterio.open(path) as source:
            for _, window in source.block_windows(1):
                block = source.read(1, window=window)
                levels += np.bincount(block.ravel(), minlength=256)
        if band == 1:
            same = (levels == expected.levels).all()
        else:
            same = levels[1] == expected.changed
        if not same:
            raise OSError('what was read back differs from what was written')

    def _virtual(self, band: int, grid: Grid, tags: Dict[str, str]) -> str:
        """GDAL's description of a raster made of all parts."""
        lines = [f'<VRTDataset rasterXSize="{grid.width}" '
                 f'rasterYSize="{grid.height}">']
        if grid.crs is not None:
            lines.append(f'<SRS>{escape(grid.crs.to_wkt())}</SRS>')
        if grid.crs is not None or not grid.transform.is_identity:
            numbers = ', '.join(map(repr, grid.transform.to_gdal()))
            lines.append(f'<GeoTransform>{numbers}</GeoTransform>')
        lines.append('<Metadata>')
        lines += [f'<MDI key="{escape(key)}">{escape(str(value))}</MDI>'
                  for key, value in tags.items()]
        lines += ['</Metadata>',
                  '<VRTRasterBand dataType="Byte" band="1">',
                  f'<NoDataValue>{NODATA}</NoDataValue>']
        if band == 1:
            lines += ['<Description>probability of change</Description>',
                      f'<Scale>{1 / LEVELS!r}</Scale>']
        else:
            lines += ['<Description>change</Description>',
                      '<ColorInterp>Palette</ColorInterp><ColorTable>',
                      '<Entry c1="0" c2="0" c3="0" c4="0"/>',
                      '<Entry c1="213" c2="94" c3="0" c4="255"/>',
                      '</ColorTable>']
        for row in range(len(self.rows)):
            for group in range(self.groups):
                rows, columns = self._extent(row, group)
                size = (f'xSize="{columns.stop - columns.start}" '
                        f'ySize="{rows.stop - rows.start}"')
                lines += [
                    '<SimpleSource>', '<SourceFilename relativeToVRT="1">'
                    f'{self.path(row, group).name}</SourceFilename>',
                    f'<SourceBand>{band}</SourceBand>',
                    f'<SrcRect xOff="0" yOff="0" {size}/>',
                    f'<DstRect xOff="{columns.start}" yOff="{rows.start}" '
                    f'{size}/>', '</SimpleSource>'
                ]
        return '\n'.join([*lines, '</VRTRasterBand></VRTDataset>'])
