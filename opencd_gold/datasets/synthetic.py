"""Seeded optical/SAR/optical triplets that look like remote-sensing tiles.

A tile is made in four steps, each with random numbers of its own, so that
for instance the number of looks changes the speckle and nothing else:

1. *Layout.* Parcels of a rotated, slightly warped grid are used as crops,
   meadow, forest, housing or industry; roads follow some of their borders; a
   road, a river and a lake may cross them; buildings and trees are placed.
2. *Change.* Buildings are built and demolished, parcels are built over,
   open land is flooded from the water outwards. The label is 1 where the
   cover (open land, road, water, forest, built-up ground, building) of the
   two dates differs, and nowhere else.
3. *Optical images.* The season sets the colour of every crop; sun, haze, gain
   and gamma differ between the dates; buildings have lit and dark roof sides
   and cast a shadow; vehicles come and go. None of that is change.
4. *SAR image* of the second date. Intensities are set for each cover and
   crop; buildings show a bright line where the wall that faces the sensor
   meets the ground, layover towards the sensor and shadow behind; speckle is
   gamma distributed with unit mean and variance 1 / looks (Goodman,
   https://doi.org/10.1364/JOSA.66.001145). Wind roughens water, smooth bare
   fields are as dark as water, and plants that stand in a flood are as
   bright as land, which is what makes the guide easier.

One pixel is about one meter; a larger tile shows more ground.
"""
import math
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from .converting import (
    TRIPLET_FOLDERS,
    ConversionError,
    Job,
    run_jobs,
    save_image,
)

CHANGES = ('auto', 'none', 'built', 'flood', 'both')
SAR_DTYPES = ('uint8', 'float32')
SAR_DECIBEL_RANGE = (-28.0, 8.0)

OPEN, ROAD, WATER, FOREST, GROUND, BUILDING = range(6)
_CROP, _MEADOW, _WOOD, _HOUSING, _INDUSTRY = range(5)
_COVER_OF_USE = np.array([OPEN, OPEN, FOREST, GROUND, GROUND], np.uint8)
_MIN_SIZE = 32

# RGB reflectance of each crop in spring, summer, autumn and winter.
_CROP_COLORS = np.array([
    [[.37, .50, .24], [.80, .69, .44], [.56, .46, .34], [.42, .45, .28]],
    [[.57, .46, .35], [.27, .43, .19], [.66, .57, .37], [.47, .40, .32]],
    [[.76, .73, .27], [.49, .50, .29], [.43, .47, .26], [.38, .46, .26]],
    [[.44, .53, .29], [.36, .50, .22], [.55, .47, .36], [.51, .44, .35]],
    [[.62, .53, .42], [.70, .61, .48], [.58, .49, .39], [.48, .42, .35]],
], np.float32)
_MEADOW_COLORS = np.array(
    [[.42, .54, .28], [.47, .53, .30], [.45, .47, .28], [.42, .43, .28]],
    np.float32)
_WOOD_COLORS = np.array(
    [[.24, .36, .18], [.17, .29, .14], [.35, .29, .15], [.28, .26, .19]],
    np.float32)
_ROOFS = np.array([
    [.66, .36, .27], [.58, .31, .25], [.52, .40, .34], [.45, .43, .43],
    [.70, .48, .38], [.36, .35, .37]], np.float32)
_FLAT_ROOFS = np.array([
    [.78, .78, .77], [.64, .66, .69], [.88, .88, .86], [.56, .57, .57],
    [.62, .72, .78]], np.float32)
_VEHICLES = ((225, 225, 225), (50, 50, 55), (150, 62, 55), (78, 90, 128),
             (185, 186, 190), (120, 120, 122))

# Backscatter in decibel (VV, VH) of each cover; OPEN is set by the crop.
_SAR_COVER = np.array([
    [-11, -18], [-17.5, -25], [-22, -27.5], [-7.5, -13], [-12, -19.5],
    [-9, -17]], np.float32)
_SAR_CROP = np.array(
    [[-11, -17], [-9, -15], [-10, -15.5], [-11.5, -18], [-13.5, -21]],
    np.float32)


class Triplet(NamedTuple):
    """Three co-registered images and what changed between the dates.

    Attributes:
        img_from (np.ndarray): Optical, first date: (H, W, 3) uint8, RGB.
        img_to (np.ndarray): SAR, second date: (H, W, 1 or 2) VV[, VH].
            uint8: :data:`SAR_DECIBEL_RANGE` in decibel stretched to 0-255;
            float32: linear intensity.
        img_guide (np.ndarray): Optical, second date: as ``img_from``.
        label (np.ndarray): (H, W) uint8, 255 changed and 0 unchanged.
    """
    img_from: np.ndarray
    img_to: np.ndarray
    img_guide: np.ndarray
    label: np.ndarray


@dataclass
class _Building:
    """A building of rectangular wings, each (4, 2) corners in pixels.

    The first edge of a wing runs along its ridge.
    """
    wings: list[np.ndarray]
    height: float
    color: np.ndarray
    flat: bool


@dataclass
class _Parcels:
    """Parcels: their map and one value each of what stays the same."""
    index: np.ndarray
    rects: np.ndarray
    crop: np.ndarray
    angle: np.ndarray
    period: np.ndarray


@dataclass
class _Scene:
    """The ground at one date.

    Attributes:
        parcels (_Parcels): The same at both dates.
        use (np.ndarray): (parcels,) use of each.
        fresh (np.ndarray): (parcels,) bool, built over since the first
            date.
        cover (np.ndarray): (H, W) uint8 cover.
        buildings (list[_Building]): What stands.
        demolished (list[_Building]): What stood at the first date.
        trees (np.ndarray): (trees, 3) x, y and radius.
        roads (list): (polyline, width) of each road.
        flooded (np.ndarray): (H, W) bool, water that was not there at the
            first date.
    """
    parcels: _Parcels
    use: np.ndarray
    fresh: np.ndarray
    cover: np.ndarray
    buildings: list[_Building]
    trees: np.ndarray
    roads: list[tuple[np.ndarray, int]]
    flooded: np.ndarray
    demolished: list[_Building] = field(default_factory=list)


class _Frame:
    """Maps parcel coordinates (u, v) to pixels: rotated, slightly warped."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.size = size
        self.angle = rng.uniform(-math.pi / 4, math.pi / 4)
        self.phase = rng.uniform(0, 2 * math.pi, 4)
        self.wave = 2 * math.pi / rng.uniform(140, 240, 2)
        self.sway = rng.uniform(2, 8)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) points in parcel coordinates to (n, 2) x and y."""
        u, v = points[:, 0], points[:, 1]
        du = self.sway * np.sin(self.wave[0] * v + self.phase[0])
        dv = self.sway * np.sin(self.wave[1] * u + self.phase[1])
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        u, v = u + du, v + dv
        return np.stack([cos * u - sin * v, sin * u + cos * v],
                        axis=1) + self.size / 2


def _noise(rng: np.random.Generator, size: int, cell: float,
           octaves: int = 3) -> np.ndarray:
    """Smooth noise, (size, size) float32, mean 0 and deviation 1."""
    total = np.zeros((size, size), np.float32)
    for k in range(octaves):
        n = math.ceil(size / cell * 2**k) + 2
        grid = rng.standard_normal((n, n), np.float32)
        grid *= 0.5**k
        total += cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    total -= total.mean()
    total /= max(float(total.std()), 1e-6)
    return total


def _fill(image: np.ndarray, points: np.ndarray, color,
          smooth: bool = False) -> None:
    """Fill a convex polygon, (n, 2) x and y with parts of a pixel."""
    fixed = np.round(points * 16).astype(np.int32)
    cv2.fillConvexPoly(
        image, fixed, color, cv2.LINE_AA if smooth else cv2.LINE_8, 4)


def _line(image: np.ndarray, points: np.ndarray, color, width: int,
          smooth: bool = False) -> None:
    """Draw an open polyline, (n, 2) x and y with parts of a pixel."""
    fixed = np.round(points * 16).astype(np.int32)
    cv2.polylines(image, [fixed], False, color, width,
                  cv2.LINE_AA if smooth else cv2.LINE_8, 4)


def _hull(wing: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """What a wing covers on its way along a shift."""
    both = np.concatenate([wing, wing + shift]).astype(np.float32)
    return cv2.convexHull(both)[:, 0]


def _split(rng: np.random.Generator, rect: tuple, depth: int,
           rects: list, cuts: list) -> None:
    """Cut a rectangle of parcel coordinates until its parts are parcels."""
    u0, v0, u1, v1 = rect
    width, height = u1 - u0, v1 - v0
    if max(width, height) < rng.uniform(60, 125):
        rects.append(rect)
        return
    at = rng.uniform(0.35, 0.65)
    if width > height:
        at = u0 + at * width
        cuts.append((at, v0, at, v1, depth))
        parts = (u0, v0, at, v1), (at, v0, u1, v1)
    else:
        at = v0 + at * height
        cuts.append((u0, at, u1, at, depth))
        parts = (u0, v0, u1, at), (u0, at, u1, v1)
    for part in parts:
        _split(rng, part, depth + 1, rects, cuts)


def _edge(u0: float, v0: float, u1: float, v1: float) -> np.ndarray:
    """Points about 12 pixels apart on a segment of parcel coordinates."""
    n = max(2, int(max(abs(u1 - u0), abs(v1 - v0)) / 12))
    t = np.arange(n)[:, None] / (n - 1)
    return np.array([[u0, v0]]) + t * np.array([[u1 - u0, v1 - v0]])


def _lay_parcels(rng: np.random.Generator,
                 frame: _Frame) -> tuple[_Parcels, list]:
    """Cut the ground into parcels; returns them and the cuts."""
    rects, cuts = [], []
    reach = 0.75 * frame.size + 16
    _split(rng, (-reach, -reach, reach, reach), 0, rects, cuts)
    index = np.zeros((frame.size, frame.size), np.int16)
    for i, (u0, v0, u1, v1) in enumerate(rects):
        ring = np.concatenate([
            _edge(u0, v0, u1, v0), _edge(u1, v0, u1, v1),
            _edge(u1, v1, u0, v1), _edge(u0, v1, u0, v0)])
        cv2.fillPoly(index, [np.round(frame(ring)).astype(np.int32)], i)
    n = len(rects)
    rects = np.array(rects)
    wide = rects[:, 2] - rects[:, 0] > rects[:, 3] - rects[:, 1]
    angle = frame.angle + np.where(wide, math.pi / 2, 0)
    return _Parcels(
        index, rects, rng.integers(0, len(_CROP_COLORS), n),
        angle + rng.normal(0, 0.03, n), rng.uniform(3.5, 9, n)), cuts


def _choose_use(rng: np.random.Generator, parcels: _Parcels) -> np.ndarray:
    """Use of each parcel; housing gathers around a centre."""
    center = rng.uniform(-100, 100, 2)
    middle = (parcels.rects[:, :2] + parcels.rects[:, 2:]) / 2
    away = np.linalg.norm(middle - center, axis=1)
    town = rng.choice([0.1, 0.5, 0.9], p=[0.4, 0.4, 0.2])
    p_housing = town * np.exp(-(away / 110)**2)
    draw = rng.random(len(away))
    use = rng.choice([_CROP, _MEADOW, _WOOD], len(away), p=[.66, .2, .14])
    use[draw < p_housing] = _HOUSING
    use[draw < 0.2 * p_housing + 0.02] = _INDUSTRY
    return use


def _wing(center: np.ndarray, along: float, across: float,
          angle: float) -> np.ndarray:
    """Corners of a rectangle; the first edge runs along ``angle``."""
    axis = np.array([math.cos(angle), math.sin(angle)])
    side = np.array([-axis[1], axis[0]])
    return center + np.array([
        -along * axis - across * side, along * axis - across * side,
        along * axis + across * side, -along * axis + across * side]) / 2


def _house(rng: np.random.Generator, center: np.ndarray,
           angle: float) -> _Building:
    along, across = rng.uniform(11, 18), rng.uniform(8, 11)
    angle += rng.choice([0, math.pi / 2]) + rng.normal(0, 0.04)
    wings = [_wing(center, along, across, angle)]
    if rng.random() < 0.35:
        axis = np.array([math.cos(angle), math.sin(angle)])
        side = np.array([-axis[1], axis[0]])
        reach = rng.uniform(4, 7)
        corner = center + axis * (along - across) / 2 * rng.choice([-1, 1])
        wings.append(_wing(corner + side * reach, across + reach,
                           0.85 * across, angle + math.pi / 2))
    color = _ROOFS[rng.integers(len(_ROOFS))] * rng.uniform(0.88, 1.1)
    return _Building(wings, rng.uniform(5, 8), color, False)


def _hall(rng: np.random.Generator, center: np.ndarray, along: float,
          across: float, angle: float) -> _Building:
    wings = [_wing(center, along, across, angle)]
    color = _FLAT_ROOFS[rng.integers(len(_FLAT_ROOFS))]
    return _Building(wings, rng.uniform(7, 13),
                     color * rng.uniform(0.88, 1.06), True)


def _settle(rng: np.random.Generator, frame: _Frame, rect: np.ndarray,
            use: int) -> list[_Building]:
    """Buildings of one parcel of housing or industry."""
    u0, v0, u1, v1 = rect + np.array([8, 8, -8, -8])
    step = (rng.uniform(20, 25, 2) if use == _HOUSING
            else rng.uniform(42, 64, 2))
    counts = np.maximum(1, ((u1 - u0, v1 - v0) // step).astype(int))
    pitch = np.array([u1 - u0, v1 - v0]) / counts
    buildings = []
    for i, j in np.ndindex(*counts):
        if rng.random() < 0.14:
            continue
        spot = np.array([u0, v0]) + (np.array([i, j]) + 0.5) * pitch
        if use == _HOUSING:
            spot += rng.normal(0, 1.6, 2)
            center = frame(spot[None])[0]
            buildings.append(_house(rng, center, frame.angle))
        else:
            along, across = pitch * rng.uniform(0.5, 0.74, 2)
            center = frame(spot[None])[0]
            buildings.append(
                _hall(rng, center, along, across, frame.angle))
    return buildings


def _free(building: _Building, cover: np.ndarray,
          allowed: Sequence[int]) -> bool:
    """Whether a building touches the tile and only cover that it may."""
    size = len(cover)
    corners = np.concatenate(building.wings)
    center = corners.mean(0)
    probe = np.concatenate(
        [center + 1.12 * (corners - center), corners, center[None]])
    x, y = np.floor(probe).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < size) & (y < size)
    return bool(inside.any() and np.isin(
        cover[y[inside], x[inside]], allowed).all())


def _place(cover: np.ndarray, candidates: list[_Building],
           allowed: Sequence[int],
           limit: int | None = None) -> list[_Building]:
    """Draw the first buildings that fit into the cover; returns them."""
    placed = []
    for building in candidates:
        if len(placed) == limit:
            break
        if _free(building, cover, allowed):
            _stamp(cover, [building], BUILDING)
            placed.append(building)
    return placed


def _stamp(cover: np.ndarray, buildings: list[_Building],
           value: int) -> None:
    """Set the cover of the ground that buildings stand on."""
    for building in buildings:
        for wing in building.wings:
            _fill(cover, wing, value)


def _lay_roads(rng: np.random.Generator, frame: _Frame,
               cuts: list) -> list[tuple[np.ndarray, int]]:
    """Lanes on borders of parcels and, sometimes, a road across."""
    roads = []
    for u0, v0, u1, v1, depth in cuts:
        if rng.random() < (0.75, 0.6, 0.4, 0.2)[min(depth, 3)]:
            width = int(rng.integers(3, 6)) if depth > 1 else 6
            roads.append((frame(_edge(u0, v0, u1, v1)), width))
    if rng.random() < 0.45:
        roads.append((_crossing(rng, frame.size, 0.08), 9))
    return roads


def _crossing(rng: np.random.Generator, size: int,
              bend: float) -> np.ndarray:
    """A bent line from one side of the tile to the opposite one."""
    t = np.linspace(-0.1, 1.1, max(8, size // 8))
    side = rng.uniform(0.2, 0.8) + rng.uniform(-0.5, 0.5) * (t - 0.5)
    for k in range(1, 4):
        side += bend / k * np.sin(
            2 * math.pi * k * size / 256 * t + rng.uniform(0, 2 * math.pi))
    points = np.stack([t, side], axis=1) * size
    return points if rng.random() < 0.5 else points[:, ::-1]


def _lay_water(rng: np.random.Generator,
               size: int) -> tuple[np.ndarray, np.ndarray]:
    """River, lake or none: two (H, W) uint8 maps, 1 is water."""
    river = np.zeros((size, size), np.uint8)
    lake = river.copy()
    kind = rng.choice(['none', 'river', 'lake'], p=[0.4, 0.38, 0.22])
    if kind == 'river':
        width = rng.uniform(8, 26)
        line = _crossing(rng, size, rng.uniform(0.05, 0.12))
        sway = np.interp(np.arange(len(line)), np.arange(0, len(line), 6),
                         rng.uniform(0.8, 1.25, -(-len(line) // 6)))
        for a, b, w in zip(line[:-1], line[1:], sway[:-1], strict=True):
            _line(river, np.stack([a, b]), 1, max(3, round(width * w)))
    elif kind == 'lake':
        y, x = np.ogrid[:size, :size]
        cx, cy = rng.uniform(0.15, 0.85, 2) * size
        radius = rng.uniform(22, 50) * min(1, size / 128)
        bumps = _noise(rng, size, 64, 3)
        away = np.sqrt((x - cx)**2 + ((y - cy) * rng.uniform(1, 1.8))**2)
        lake[away + 0.22 * radius * bumps < radius] = 1
    return river, lake


def _lay_trees(rng: np.random.Generator, cover: np.ndarray,
               frame: _Frame, cuts: list) -> np.ndarray:
    """Single trees in gardens and along borders: (n, 3) x, y, radius."""
    size = len(cover)
    spots = [rng.uniform(0, size, (int(size * size / 130), 2))]
    for u0, v0, u1, v1, _ in cuts:
        if rng.random() < 0.3:
            line = frame(_edge(u0, v0, u1, v1))
            at = rng.uniform(0, len(line) - 1, 2 * len(line))
            low = at.astype(int)
            spots.append(line[low] + (at - low)[:, None]
                         * (line[low + 1] - line[low])
                         + rng.normal(0, 1, (len(at), 2)))
    keep_all = np.arange(sum(map(len, spots))) >= len(spots[0])
    spots = np.concatenate(spots)
    x, y = np.floor(spots).astype(int).T
    inside = (x >= 2) & (y >= 2) & (x < size - 2) & (y < size - 2)
    spots, x, y, keep_all = (
        item[inside] for item in (spots, x, y, keep_all))
    here = cover[y, x]
    p = np.where(here == GROUND, 0.3, np.where(here == OPEN, 0.012, 0))
    p = np.where(keep_all & (here == OPEN), 0.8, p)
    keep = rng.random(len(spots)) < p
    radius = rng.uniform(1.8, 3.9, keep.sum())
    return np.concatenate([spots[keep], radius[:, None]], axis=1)


def _lay_out(rng: np.random.Generator, frame: _Frame) -> _Scene:
    """The ground at the first date."""
    size = frame.size
    parcels, cuts = _lay_parcels(rng, frame)
    use = _choose_use(rng, parcels)
    cover = _COVER_OF_USE[use][parcels.index]
    roads = _lay_roads(rng, frame, cuts)
    river, lake = _lay_water(rng, size)
    cover[river > 0] = WATER
    for line, width in roads:
        _line(cover, line, ROAD, width)
    cover[lake > 0] = WATER
    candidates = []
    for rect, kind in zip(parcels.rects, use, strict=True):
        if kind in (_HOUSING, _INDUSTRY):
            candidates += _settle(rng, frame, rect, kind)
    buildings = _place(cover, candidates, (GROUND,))
    farms = [_house(rng, rng.uniform(0, size, 2), frame.angle)
             for _ in range(rng.integers(0, 2 + size // 64))]
    buildings += _place(cover, farms, (OPEN,))
    trees = _lay_trees(rng, cover, frame, cuts)
    none = np.zeros(cover.shape, bool)
    return _Scene(parcels, use, np.zeros(len(use), bool), cover, buildings,
                  trees, roads, none)


def _build_over(rng: np.random.Generator, frame: _Frame, before: _Scene,
                share: float) -> _Scene:
    """The scene with parcels built over, buildings gone and new ones."""
    cover, use = before.cover.copy(), before.use.copy()
    fresh = before.fresh.copy()
    area = np.bincount(before.parcels.index.ravel(), minlength=len(use))
    area = area / cover.size
    candidates = []
    for i in rng.permutation(len(use)):
        if before.use[i] not in (_CROP, _MEADOW) or not (
                0.004 < area[i] <= share):
            continue
        share -= area[i]
        use[i] = rng.choice([_HOUSING, _INDUSTRY])
        fresh[i] = True
        candidates += _settle(rng, frame, before.parcels.rects[i], use[i])
    cover[fresh[before.parcels.index] & (cover == OPEN)] = GROUND
    built = _place(cover, candidates, (GROUND,))
    infill = [_house(rng, rng.uniform(4, frame.size - 4, 2), frame.angle)
              for _ in range(max(4, frame.size // 5))]
    built += _place(cover, infill, (GROUND,), max(2, frame.size // 40))
    if not built:
        built = _place(cover, infill, (OPEN, FOREST), 1)
    kept, demolished = [], []
    for building in before.buildings:
        gone = rng.random() < 0.12
        (demolished if gone else kept).append(building)
    _stamp(cover, demolished, GROUND)
    _stamp(cover, kept + built, BUILDING)
    trees = before.trees
    if len(trees):
        x, y = trees[:, :2].astype(int).T
        changed = cover[y, x] != before.cover[y, x]
        trees = trees[~changed]
    return _Scene(before.parcels, use, fresh, cover, kept + built, trees,
                  before.roads, before.flooded, demolished)


def _flood(rng: np.random.Generator, scene: _Scene, share: float) -> None:
    """Put the lowest open land of a scene under water, in place."""
    cover = scene.cover
    size = len(cover)
    height = _noise(rng, size, 110, 3)
    water = cover == WATER
    if water.any():
        away = cv2.distanceTransform(
            (~water).astype(np.uint8), cv2.DIST_L2, 3)
        height += away / 28
    land = cover == OPEN
    wet = min(int(share * cover.size), int(land.sum()))
    if wet == 0:
        return
    level = np.partition(height[land], wet - 1)[wet - 1]
    scene.flooded = land & (height <= level)
    cover[scene.flooded] = WATER


def _evolve(rng: np.random.Generator, frame: _Frame, before: _Scene,
            change: str) -> _Scene:
    """The ground at the second date."""
    if change == 'auto':
        change = rng.choice(
            ['none', 'built', 'flood', 'both'], p=[0.12, 0.4, 0.33, 0.15])
    built = rng.uniform(0, 0.2)
    flood = 0.01 + 0.27 * rng.beta(1.2, 1.8)
    if change == 'both':
        built, flood = 0.6 * built, 0.5 * flood
    after = before
    if change in ('built', 'both'):
        after = _build_over(rng, frame, before, built)
    if change in ('flood', 'both'):
        after = replace(after, cover=after.cover.copy())
        _flood(rng, after, flood)
    return after


@dataclass
class _Light:
    """Season and light of one optical image."""
    season: int
    sun: np.ndarray
    shadow: float
    gain: np.ndarray
    gamma: float
    haze: float


def _shine(rng: np.random.Generator, season: int) -> _Light:
    """Draw the light of a date; the sun stands in the south."""
    azimuth = math.radians(rng.uniform(20, 160))
    low = math.radians((48, 58, 40, 30)[season] + rng.uniform(-6, 6))
    return _Light(
        season=season,
        sun=np.array([math.cos(azimuth), math.sin(azimuth)]),
        shadow=1 / math.tan(low),
        gain=(rng.uniform(0.86, 1.12)
              * rng.uniform(0.96, 1.04, 3)).astype(np.float32),
        gamma=rng.uniform(0.88, 1.14),
        haze=rng.uniform(0, 0.1))


def _rows(parcels: _Parcels, period: np.ndarray,
          strength: np.ndarray) -> np.ndarray:
    """Pattern of rows and tramlines, (H, W) float32 around 0."""
    size = len(parcels.index)
    k = 2 * math.pi / period
    x = np.arange(size, dtype=np.float32)
    kx = (k * np.cos(parcels.angle)).astype(np.float32)[parcels.index]
    ky = (k * np.sin(parcels.angle)).astype(np.float32)[parcels.index]
    phase = kx * x + ky * x[:, None]
    rows = np.sin(phase)
    phase *= 0.3 / (2 * math.pi)
    phase -= np.floor(phase)
    rows += 2.0 * (phase < 0.07)
    rows *= strength.astype(np.float32)[parcels.index]
    return rows


def _paint_ground(rng: np.random.Generator, scene: _Scene, light: _Light,
                  grain: np.ndarray, tilt: np.ndarray) -> np.ndarray:
    """Land, roads and water without what stands on them, float32 RGB."""
    parcels, season, use = scene.parcels, light.season, scene.use
    n = len(use)
    table = _CROP_COLORS[parcels.crop, season].copy()
    table[use == _MEADOW] = _MEADOW_COLORS[season]
    table[use == _WOOD] = _WOOD_COLORS[season]
    table[use == _HOUSING] = (
        0.6 * _MEADOW_COLORS[season] + np.float32([.21, .20, .18]))
    table[use == _INDUSTRY] = (.56, .55, .53)
    table[scene.fresh] = (.70, .64, .55)
    table += rng.normal(0, 0.025, (n, 1)) + rng.normal(0, 0.012, (n, 3))
    image = table.astype(np.float32)[parcels.index]
    strength = np.select([use == _CROP, use == _MEADOW],
                         [rng.uniform(0.01, 0.05, n), 0.005], 0.0)
    shade = _rows(parcels, parcels.period, strength)
    shade += 0.035 * _noise(rng, len(grain), 40, 4) + 0.03 * grain
    wood = scene.cover == FOREST
    shade[wood] = 0.3 * tilt[wood]
    image *= (1 + shade)[..., None]

    image[scene.cover == ROAD] = (.50, .49, .48)
    for line, width in scene.roads:
        if width < 5:
            _line(image, line, (.63, .57, .48), width)
        elif width > 8:
            _line(image, line, (.72, .72, .70), 1)
    water = (scene.cover == WATER).astype(np.uint8)
    if water.any():
        _paint_water(rng, image, scene, water, grain)
    for building in scene.demolished:
        for wing in building.wings:
            _fill(image, wing, (.68, .61, .54))
    return image


def _paint_water(rng: np.random.Generator, image: np.ndarray, scene: _Scene,
                 water: np.ndarray, grain: np.ndarray) -> None:
    """Water, deeper and darker away from its bank, in place."""
    old = (water > 0) & ~scene.flooded
    muddy = rng.uniform(0.2, 0.9) if scene.flooded.any() else 0.0
    clear = np.float32([.17, .29, .33]) + rng.uniform(-0.03, 0.03)
    flood = np.float32([.43, .42, .36]) + rng.uniform(-0.05, 0.04)
    color = (1 - muddy) * clear + muddy * flood
    inner = cv2.distanceTransform(water, cv2.DIST_L2, 3)
    opaque = np.clip(0.78 + 0.05 * inner, 0, 0.98)
    opaque[old] = np.clip(0.55 + 0.12 * inner[old], 0, 1)
    opaque *= water
    tone = 1 + 0.03 * _noise(rng, len(water), 60, 2) + 0.012 * grain
    tone -= 0.12 * np.clip(inner / 25, 0, 1)
    image *= (1 - opaque)[..., None]
    image += (opaque * tone)[..., None] * color


def _cast_shadows(scene: _Scene, light: _Light) -> np.ndarray:
    """Share of direct light that is missing, (H, W) float32 in [0, 1]."""
    shadow = np.zeros(scene.cover.shape, np.uint8)
    way = -light.sun * light.shadow
    for building in scene.buildings:
        for wing in building.wings:
            _fill(shadow, _hull(wing, way * building.height), 255, True)
    for x, y, radius in scene.trees:
        end = np.array([x, y]) + way * 1.6 * radius
        _disk(shadow, end, radius, 255)
        _line(shadow, np.array([[x, y], end]), 255, max(1, int(radius)))
    wood = (scene.cover == FOREST).astype(np.float32)
    if wood.any():
        shift = np.float32([[1, 0, way[0] * 5], [0, 1, way[1] * 5]])
        moved = cv2.warpAffine(wood, shift, wood.shape,
                               borderMode=cv2.BORDER_REPLICATE)
        moved = (moved * (1 - wood) * 255).astype(np.uint8)
        np.maximum(shadow, moved, out=shadow)
    shadow = cv2.GaussianBlur(shadow, (3, 3), 0.6)
    return shadow.astype(np.float32) / 255


def _disk(image: np.ndarray, center: np.ndarray, radius: float,
          color) -> None:
    cv2.circle(image, (round(center[0] * 16), round(center[1] * 16)),
               round(radius * 16), color, -1, cv2.LINE_AA, 4)


def _paint_roof(image: np.ndarray, building: _Building,
                light: _Light) -> None:
    """Roof of a building: two sides and a ridge, or flat with a parapet."""
    for wing in building.wings:
        a, b, c, d = wing
        if building.flat:
            tone = building.color * 255
            _fill(image, wing, (0.8 * tone).tolist(), True)
            center = wing.mean(0)
            inner = center + 0.93 * (wing - center)
            _fill(image, inner, tone.tolist(), True)
            for s, t in ((0.3, 0.35), (0.62, 0.6), (0.75, 0.25)):
                spot = a + s * (b - a) + t * (d - a)
                _disk(image, spot, 1.5, (0.62 * tone).tolist())
            continue
        e, f = (a + d) / 2, (b + c) / 2
        normal = (a - d) / np.linalg.norm(a - d)
        slope = 0.26 * float(normal @ light.sun)
        for side, lit in (((a, b, f, e), slope), ((e, f, c, d), -slope)):
            tone = np.clip(building.color * (1 + lit) * 255, 0, 255)
            _fill(image, np.stack(side), tone.tolist(), True)
        ridge = np.clip(building.color * 1.16 * 255, 0, 255)
        _line(image, np.stack([e, f]), ridge.tolist(), 1, True)


def _paint_trees(rng: np.random.Generator, image: np.ndarray,
                 trees: np.ndarray, light: _Light) -> None:
    tint = rng.normal(1, 0.1, len(trees))
    base = _WOOD_COLORS[light.season] * 255
    for (x, y, radius), tone in zip(trees, tint, strict=True):
        center = np.array([x, y])
        _disk(image, center, radius, (0.85 * tone * base).tolist())
        _disk(image, center + 0.3 * radius * light.sun, 0.6 * radius,
              (1.25 * tone * base).tolist())


def _park_vehicles(rng: np.random.Generator,
                   scene: _Scene) -> list[np.ndarray]:
    """Vehicles on the roads at one date: rectangles of (4, 2) corners."""
    found = []
    size = len(scene.cover)
    for line, width in scene.roads:
        if width < 5:
            continue
        steps = np.diff(line, axis=0)
        count = rng.binomial(len(steps), 0.12)
        for i in rng.choice(len(steps), count, replace=False):
            angle = math.atan2(steps[i, 1], steps[i, 0])
            side = np.array([-math.sin(angle), math.cos(angle)])
            spot = line[i] + rng.random() * steps[i]
            spot = spot + side * rng.choice([-1, 1]) * width / 4
            x, y = np.floor(spot).astype(int)
            length = rng.uniform(3.5, 6)
            if (0 <= x < size and 0 <= y < size
                    and scene.cover[y, x] == ROAD):
                found.append(_wing(spot, length, 2, angle))
    return found


def _photograph(rng: np.random.Generator, scene: _Scene, light: _Light,
                canopy: np.ndarray) -> np.ndarray:
    """Optical image of a scene, (H, W, 3) uint8 RGB."""
    size = len(scene.cover)
    grain = rng.standard_normal((size, size), np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.8) * 2.5
    tilt = _relief(canopy, light.sun)
    image = _paint_ground(rng, scene, light, grain, tilt)
    shadow = _cast_shadows(scene, light)
    image *= 1 - shadow[..., None] * np.float32([0.62, 0.57, 0.5])
    image = cv2.convertScaleAbs(image, alpha=255)
    for wing in _park_vehicles(rng, scene):
        _fill(image, wing, _VEHICLES[rng.integers(len(_VEHICLES))], True)
    for building in scene.buildings:
        _paint_roof(image, building, light)
    _paint_trees(rng, image, scene.trees, light)

    image = cv2.GaussianBlur(image, (3, 3), 0.55)
    image = cv2.LUT(image, _response(light))
    noise = rng.standard_normal(image.shape, np.float32)
    noise *= 3
    image += noise
    np.maximum(image, 0, out=image)
    return cv2.convertScaleAbs(image)


def _response(light: _Light) -> np.ndarray:
    """Value seen for every value and band, (256, 1, 3) float32 to 255."""
    value = np.linspace(0, 1, 256)[:, None] * light.gain
    value = (1 - light.haze) * value + light.haze * np.array([.7, .76, .82])
    value = 255 * np.clip(value, 0, 1)**light.gamma
    return value.astype(np.float32)[:, None]


def _relief(surface: np.ndarray, sun: np.ndarray) -> np.ndarray:
    """Slope of a surface towards the sun, deviation about 1."""
    dx = cv2.Sobel(surface, cv2.CV_32F, 1, 0, ksize=3)
    dy = cv2.Sobel(surface, cv2.CV_32F, 0, 1, ksize=3)
    slope = -(float(sun[0]) * dx + float(sun[1]) * dy)
    return slope / max(float(slope.std()), 1e-6)


def _scatter_ground(scene: _Scene, band: int, rough: np.ndarray,
                    moisture: np.ndarray,
                    crop_shift: np.ndarray) -> np.ndarray:
    """Backscatter without what stands on the ground, decibel."""
    parcels = scene.parcels
    crops = np.where(scene.use == _MEADOW, _SAR_COVER[OPEN, band],
                     _SAR_CROP[parcels.crop, band]) + crop_shift
    decibel = _SAR_COVER[:, band][scene.cover]
    land = scene.cover == OPEN
    field_level = crops.astype(np.float32)[parcels.index]
    field_level += _rows(parcels, parcels.period,
                         np.where(scene.use == _CROP, 0.5, 0.0))
    field_level += moisture
    decibel[land] = field_level[land]
    water = scene.cover == WATER
    decibel[water] += rough[water]
    return decibel


def _scatter(rng: np.random.Generator, scene: _Scene,
             canopy: np.ndarray, bands: int) -> np.ndarray:
    """Mean SAR intensity of a scene, (H, W, bands) float32, linear."""
    size = len(scene.cover)
    side = rng.choice([-1.0, 1.0])
    incidence = math.radians(rng.uniform(37, 49))
    toward = np.array([side, 0.0])
    rough = np.clip(_noise(rng, size, 70, 2) + rng.uniform(-1, 1.5),
                    -0.5, 3) * 1.7
    moisture = 0.9 * _noise(rng, size, 50, 3)
    n = len(scene.use)
    crop_shift = (rng.normal(0, 1.5, n)
                  - rng.uniform(3, 7, n) * (rng.random(n) < 0.15))
    standing = (rng.random(n) < 0.1)[scene.parcels.index] & scene.flooded
    vehicles = _park_vehicles(rng, scene)
    slope = np.clip(_relief(canopy, toward), -2, 2)
    layers = []
    for band in range(bands):
        decibel = _scatter_ground(scene, band, rough, moisture, crop_shift)
        decibel[standing] = moisture[standing] - 8 - 9 * band
        _scatter_wood(decibel, scene, slope, side)
        for x, y, radius in scene.trees:
            center = np.array([x, y])
            _spot(decibel, center - toward * 1.5 * radius, 0.7 * radius,
                  -18 - 6 * band)
            _spot(decibel, center + toward * 0.5 * radius, 0.8 * radius,
                  -6 - 5 * band)
        for wing in vehicles:
            _spot(decibel, wing.mean(0), 1, 1 - 8 * band)
        order = sorted(scene.buildings,
                       key=lambda b: side * b.wings[0][:, 0].mean())
        for building in order:
            _scatter_building(decibel, building, toward, incidence, band)
        layers.append(decibel)
    stack = np.stack(layers, axis=-1)
    intensity = np.exp(stack * np.float32(math.log(10) / 10))
    blurred = cv2.GaussianBlur(intensity, (3, 3), 0.5)
    return blurred.reshape(size, size, bands)


def _spot(image: np.ndarray, center: np.ndarray, radius: float,
          value: float) -> None:
    cv2.circle(image, (round(center[0]), round(center[1])),
               max(1, round(radius)), value, -1)


def _scatter_wood(decibel: np.ndarray, scene: _Scene, slope: np.ndarray,
                  side: float) -> None:
    """Forest: rough canopy, bright edge to the sensor, shadow behind."""
    wood = scene.cover == FOREST
    if not wood.any():
        return
    decibel[wood] += 1.1 * slope[wood]
    step = int(side) * 3
    edge = wood & ~np.roll(wood, -step, axis=1)
    behind = ~wood & np.roll(wood, -2 * step, axis=1)
    behind &= scene.cover != BUILDING
    border = slice(0, 6) if side < 0 else slice(-6, None)
    edge[:, border] = False
    border = slice(0, 6) if side > 0 else slice(-6, None)
    behind[:, border] = False
    decibel[edge] += 3
    decibel[behind] -= 6


def _scatter_building(decibel: np.ndarray, building: _Building,
                      toward: np.ndarray, incidence: float,
                      band: int) -> None:
    """Shadow, roof, layover and double bounce of a building, in place.

    Height h at incidence angle t moves a roof by h / tan(t) towards the
    sensor and hides h * tan(t) of the ground behind.
    """
    cross = 7.0 * band
    behind = -toward * building.height * math.tan(incidence)
    over = toward * building.height / math.tan(incidence)
    for wing in building.wings:
        _fill(decibel, _hull(wing, behind), -25.0 - 0.4 * cross)
    for wing in building.wings:
        level = (-11.0 if building.flat else -7.5) - cross
        _fill(decibel, wing, level)
    for wing in building.wings:
        center = wing.mean(0)
        for i in range(4):
            wall = np.stack([wing[i], wing[(i + 1) % 4]])
            normal = wall.mean(0) - center
            facing = float(normal @ toward / np.linalg.norm(normal))
            if facing < 0.25:
                continue
            _fill(decibel, np.concatenate([wall, wall[::-1] + over]),
                  -8.5 + 4.5 * facing - cross)
            _line(decibel, wall, -1.0 + 8.0 * facing**3 - cross, 2)


def make_triplet(seed: int | Sequence[int],
                 size: int = 256,
                 looks: float = 4,
                 sar_bands: int = 1,
                 change: str = 'auto',
                 sar_dtype: str = 'uint8') -> Triplet:
    """Make one triplet; the same arguments give the same arrays.

    Args:
        seed (int | Sequence[int]): Seed, or several numbers that make one.
        size (int): Height and width in pixels, at least 32. Defaults to
            256.
        looks (float): Looks of the SAR image: the speckle has the variance
            1 / looks. Defaults to 4.
        sar_bands (int): 1 (VV) or 2 (VV, VH). Defaults to 1.
        change (str): What changes: 'none', 'built' (buildings and built-up
            ground), 'flood', 'both', or 'auto' to draw one of them, none in
            12 % of the tiles. Defaults to 'auto'.
        sar_dtype (str): 'uint8' (stretched decibel) or 'float32' (linear
            intensity). Defaults to 'uint8'.

    Returns:
        Triplet: Images and label, up to about 30 % of it changed.

    Raises:
        ValueError: If an argument is out of its range.
    """
    _check_options(size, looks, sar_bands, change, sar_dtype)
    streams = [np.random.default_rng(s)
               for s in np.random.SeedSequence(seed).spawn(7)]
    frame = _Frame(streams[0], size)
    before = _lay_out(streams[0], frame)
    after = _evolve(streams[1], frame, before, change)
    seasons = streams[2].choice(4, 2, replace=False)
    canopy = _noise(streams[2], size, 4.5, 2)
    img_from = _photograph(
        streams[3], before, _shine(streams[3], int(seasons[0])), canopy)
    img_guide = _photograph(
        streams[4], after, _shine(streams[4], int(seasons[1])), canopy)
    intensity = _scatter(streams[5], after, canopy, sar_bands)
    speckle = streams[6].standard_gamma(looks, intensity.shape, np.float32)
    intensity *= speckle / np.float32(looks)
    label = (before.cover != after.cover).astype(np.uint8) * 255
    img_to = intensity if sar_dtype == 'float32' else _stretch(intensity)
    return Triplet(img_from, img_to, img_guide, label)


def _stretch(intensity: np.ndarray) -> np.ndarray:
    """Linear intensity to uint8 over :data:`SAR_DECIBEL_RANGE`."""
    low, high = SAR_DECIBEL_RANGE
    decibel = 10 * np.log10(np.maximum(intensity, np.float32(1e-6)))
    scaled = (decibel - np.float32(low)) * np.float32(255 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _check_options(size: int, looks: float, sar_bands: int, change: str,
                   sar_dtype: str) -> None:
    if size < _MIN_SIZE:
        raise ValueError(f'size={size}: expected at least {_MIN_SIZE}')
    if looks <= 0:
        raise ValueError(f'looks={looks}: expected a positive number')
    if sar_bands not in (1, 2):
        raise ValueError(f'sar_bands={sar_bands}: expected 1 or 2')
    if change not in CHANGES:
        raise ValueError(f'change={change!r}: expected one of {CHANGES}')
    if sar_dtype not in SAR_DTYPES:
        raise ValueError(
            f'sar_dtype={sar_dtype!r}: expected one of {SAR_DTYPES}')


def _save_bands(path: Path, image: np.ndarray) -> None:
    """Write (H, W, bands) as a TIFF, which holds two bands and floats."""
    try:
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning
    except ImportError:
        raise ConversionError(
            f'{path}: two bands or float32 are written with rasterio, which '
            'is not installed') from None
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(
                path, 'w', driver='GTiff', height=image.shape[0],
                width=image.shape[1], count=image.shape[2],
                dtype=image.dtype) as target:
            target.write(image.transpose(2, 0, 1))


def tile_seed(seed: int, split: str, index: int) -> tuple[int, int, int]:
    """Seed of one tile of a data set, for :func:`make_triplet`."""
    return seed, zlib.crc32(split.encode()), index


def write_triplets(root: str | Path,
                   counts: Mapping[str, int],
                   size: int = 256,
                   seed: int = 0,
                   looks: float = 4,
                   sar_bands: int = 1,
                   change: str = 'auto',
                   sar_dtype: str = 'uint8',
                   force: bool = False,
                   dry_run: bool = False) -> None:
    """Write ``root/{split}/{A,B,C,label}/NNNN.png``.

    A tile depends on ``seed``, the name of its split and its number alone:
    asking for more tiles leaves the first ones as they are. Two SAR bands,
    or float32, are written as ``B/NNNN.tif``.

    Args:
        root (str | Path): The data root.
        counts (Mapping[str, int]): Number of tiles of each split.
        size (int): As for :func:`make_triplet`. Defaults to 256.
        seed (int): Seed of the data set, not negative. Defaults to 0.
        looks (float): As for :func:`make_triplet`. Defaults to 4.
        sar_bands (int): As for :func:`make_triplet`. Defaults to 1.
        change (str): As for :func:`make_triplet`. Defaults to 'auto'.
        sar_dtype (str): As for :func:`make_triplet`. Defaults to 'uint8'.
        force (bool): Replace the images that the folders hold. Defaults to
            False.
        dry_run (bool): Check everything and write nothing. Defaults to
            False.

    Raises:
        ValueError: If an option is out of its range.
        ConversionError: If a folder already holds images and ``force`` is
            off.
    """
    _check_options(size, looks, sar_bands, change, sar_dtype)
    if seed < 0 or min(counts.values(), default=0) < 0:
        raise ValueError(f'seed={seed}, counts={dict(counts)}: expected '
                         'numbers that are not negative')

    @lru_cache(maxsize=1)
    def tile(split: str, index: int) -> Triplet:
        return make_triplet(tile_seed(seed, split, index), size, looks,
                            sar_bands, change, sar_dtype)

    tiff = sar_bands > 1 or sar_dtype != 'uint8'
    jobs = []
    for split, count in counts.items():
        for index in range(count):
            for position, folder in enumerate(TRIPLET_FOLDERS):
                suffix = '.tif' if folder == 'B' and tiff else '.png'
                target = Path(root) / split / folder / f'{index:04d}{suffix}'
                jobs.append(Job(target, partial(
                    _save, tile, split, index, position)))
    run_jobs(jobs, force, dry_run, 'synthetic triplets')


def _save(tile: Callable[[str, int], Triplet], split: str, index: int,
          position: int, path: Path) -> None:
    """Write one array of a tile; colour goes to OpenCV as BGR."""
    image = tile(split, index)[position]
    if path.suffix == '.tif':
        _save_bands(path, image)
    else:
        save_image(path, image[..., ::-1] if image.ndim == 3 else image)
