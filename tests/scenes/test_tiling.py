"""Tiles cover, weights sum to one, blending is what the formula says."""
import numpy as np
import pytest

from opencd_gold.scenes.tiling import Axis, Blender

SIZES = [(10, 16, 4), (16, 16, 4), (17, 16, 5), (31, 16, 5), (28, 16, 4),
         (100, 16, 5), (64, 16, 0), (1000, 64, 21), (40, 16, 1)]


def weights(axis):
    """Weight of every tile at every pixel, by the formula."""
    found = np.zeros((len(axis), axis.length))
    rise = np.sin(np.pi / 2 * (np.arange(axis.ramp) + .5) / axis.ramp)**2 \
        if axis.ramp else np.zeros(0)
    for k, start in enumerate(axis.starts):
        found[k, axis.cuts[k]:axis.cuts[k + 1]] = 1
        if k:
            found[k, axis.cuts[k]:axis.cuts[k] + axis.ramp] = rise
        if k + 1 < len(axis):
            cut = axis.cuts[k + 1]
            found[k, cut:cut + axis.ramp] = 1 - rise
        assert not found[k, :start].any()
        assert not found[k, start + axis.tile:].any()
    return found


@pytest.mark.parametrize('length, tile, overlap', SIZES)
def test_axis(length, tile, overlap):
    axis = Axis.split(length, tile, overlap)
    assert axis.starts[0] == 0
    assert axis.starts[-1] + axis.tile == length
    overlaps = [before + axis.tile - start
                for before, start in zip(axis.starts, axis.starts[1:])]
    assert all(found >= overlap for found in overlaps)
    assert max(overlaps, default=0) - min(overlaps, default=0) <= 1
    if len(axis) > 1:
        fewer = (len(axis) - 1) * tile - (len(axis) - 2) * overlap
        assert fewer < length
    np.testing.assert_allclose(weights(axis).sum(0), 1)
    assert (np.count_nonzero(weights(axis), axis=0) <= 2).all()


@pytest.mark.parametrize('length, tile, overlap', [
    (100, 16, 6), (100, 16, -1), (0, 16, 4), (10, 0, 0)])
def test_axis_refuses(length, tile, overlap):
    with pytest.raises(ValueError, match='expected'):
        Axis.split(length, tile, overlap)


def blend(rows, columns, tiles, first=0):
    out = np.full((rows.length, columns.length), np.nan, np.float32)
    blender = Blender(rows, columns)
    for i in range(first, len(rows)):
        for j in range(len(columns)):
            out[rows.cell(i), columns.cell(j)] = blender.add(
                i, j, tiles[i, j])
    return out


@pytest.mark.parametrize('height', [12, 17, 50])
@pytest.mark.parametrize('width', [9, 33, 61])
def test_blender_is_the_weighted_sum(height, width):
    rng = np.random.default_rng(0)
    rows, columns = Axis.split(height, 16, 5), Axis.split(width, 16, 4)
    tiles = rng.random((len(rows), len(columns), rows.tile, columns.tile),
                       np.float32)
    expected = np.zeros((height, width))
    for i, top in enumerate(rows.starts):
        for j, left in enumerate(columns.starts):
            placed = np.zeros((height, width))
            placed[top:top + rows.tile, left:left + columns.tile] = tiles[
                i, j]
            expected += placed * np.outer(
                weights(rows)[i], weights(columns)[j])
    kept = tiles.copy()
    found = blend(rows, columns, tiles)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(tiles, kept)


def test_later_rows_need_the_row_before_alone():
    rng = np.random.default_rng(0)
    rows, columns = Axis.split(60, 16, 5), Axis.split(40, 16, 5)
    tiles = rng.random((len(rows), len(columns), 16, 16), np.float32)
    whole = blend(rows, columns, tiles)
    part = blend(rows, columns, tiles, first=2)
    start = rows.cuts[3]
    np.testing.assert_array_equal(part[start:], whole[start:])
    assert (part[rows.cell(2)] != whole[rows.cell(2)]).any()
