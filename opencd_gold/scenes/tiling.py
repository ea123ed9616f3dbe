r"""Tiles that overlap, and their blending.

Along each axis tile k starts at s_k; cut c_k lies in the overlap of tiles
k - 1 and k. Over the V pixels from c_k on, tile k fades in and tile k - 1
fades out:

.. math:: u(i) = \sin^2\left(\frac{\pi}{2}\frac{i + 1/2}{V}\right),
    \quad d(i) = 1 - u(i), \quad i = 0, \dots, V - 1

Elsewhere one tile has weight 1, so that the weights of all tiles sum to 1 at
every pixel and no sum of weights has to be kept. The weight of a pixel is the
product of those of its row and column.

The pixels from c_k up to c_{k+1}, of rows and columns, are a cell. It is
finished when its tile is, given those above and on the left.
"""
import math
from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np


@dataclass(frozen=True)
class Axis:
    """Tiles along one axis, spread evenly from border to border.

    Attributes:
        length (int): Of the scene, in pixels.
        tile (int): Of each tile; the length where the scene is smaller.
        ramp (int): V, the pixels over which two tiles blend.
        starts (tuple[int]): First pixel of each tile.
        cuts (tuple[int]): 0, the first pixel of each ramp, and the length.
    """

    length: int
    tile: int
    ramp: int
    starts: Tuple[int, ...]
    cuts: Tuple[int, ...]

    @classmethod
    def split(cls, length: int, tile: int, overlap: int) -> 'Axis':
        """Cover an axis with as few tiles as possible.

        Args:
            length (int): Of the scene, in pixels.
            tile (int): Of each tile.
            overlap (int): The least overlap of neighbors, at most a third of
                the tile so that no pixel has three tiles.

        Returns:
            Axis: Overlaps are equal up to one pixel.

        Raises:
            ValueError: If a number is out of range.
        """
        if length < 1 or tile < 1:
            raise ValueError(f'length {length}, tile {tile}: expected '
                             'positive numbers')
        if not 0 <= 3 * overlap <= tile:
            raise ValueError(f'overlap {overlap}: expected 0 to {tile // 3}, '
                             f'a third of the tile of {tile}')
        if length <= tile:
            return cls(length, length, 0, (0, ), (0, length))
        count = math.ceil((length - tile) / (tile - overlap)) + 1
        starts = tuple((length - tile) * k // (count - 1)
                       for k in range(count))
        # Ramps lie in the middle of overlaps.
        cuts = tuple(start + (before + tile - start - overlap) // 2
                     for before, start in zip(starts, starts[1:]))
        return cls(length, tile, overlap, starts, (0, *cuts, length))

    def __len__(self) -> int:
        return len(self.starts)

    def cell(self, index: int) -> slice:
        """Pixels that are finished with tile ``index``."""
        return slice(self.cuts[index], self.cuts[index + 1])

    def rise(self) -> np.ndarray:
        """Weights u of the tile that fades in, ``(ramp, )`` float32."""
        steps = (np.arange(self.ramp) + 0.5) / max(self.ramp, 1)
        return np.sin(0.5 * np.pi * steps).astype(np.float32)**2


class Blender:
    """Blends tiles row by row, column by column.

    Keeps the bottom ramp of the row of tiles above, ``(ramp, width)``, and
    the right ramp of the tile on the left.

    Args:
        rows (Axis): Of the scene.
        columns (Axis): Of the scene.
    """

    def __init__(self, rows: Axis, columns: Axis):
        self.rows = rows
        self.columns = columns
        self._above = np.zeros((rows.ramp, columns.length), np.float32)
        self._left: Optional[np.ndarray] = None
        self._rise = (rows.rise()[:, None], columns.rise()[None])

    def add(self, row: int, column: int, tile: np.ndarray) -> np.ndarray:
        """Take the next tile.

        A row must be complete before the next; the first row given may be
        any, its cells are right if it is row 0 only.

        Args:
            row (int): Of the tile.
            column (int): Of the tile.
            tile (ndarray): ``(rows.tile, columns.tile)`` float32.

        Returns:
            ndarray: The finished cell, float32.
        """
        band = self._blend_columns(column, tile)
        return self._blend_rows(row, self.columns.cell(column), band)

    def _blend_columns(self, column: int, tile: np.ndarray) -> np.ndarray:
        """Columns of the cell, all rows of the tile."""
        axis, rise = self.columns, self._rise[1]
        cell = axis.cell(column)
        first = axis.starts[column]
        band = tile[:, cell.start - first:cell.stop - first]
        if column and axis.ramp:
            band = band.copy()
            band[:, :axis.ramp] *= rise
            band[:, :axis.ramp] += self._left
        if column + 1 < len(axis):
            stop = cell.stop - first
            self._left = tile[:, stop:stop + axis.ramp] * (1 - rise)
        return band

    def _blend_rows(self, row: int, columns: slice,
                    band: np.ndarray) -> np.ndarray:
        """Rows of the cell, of the columns of the cell."""
        axis, rise = self.rows, self._rise[0]
        cell = axis.cell(row)
        first = axis.starts[row]
        done = band[cell.start - first:cell.stop - first]
        if row and axis.ramp:
            done = done.copy()
            done[:axis.ramp] *= rise
            done[:axis.ramp] += self._above[:, columns]
        if row + 1 < len(axis):
            stop = cell.stop - first
            self._above[:, columns] = (
                band[stop:stop + axis.ramp] * (1 - rise))
        return done
