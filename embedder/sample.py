"""A made-up tile in the source's layout and under a real tile's name, and its map, so that a demo or a test needs no download.

The ground is invented, and looks like a bay, dunes, a river plain with fields, a town and hills seen by Sentinel-2. It is painted piece by
piece as a function of pixel coordinates and a seed: little memory, and the same picture each time.
"""

import functools
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    from embedder.machine import prepare

    prepare()  # before rasterio is imported

import click
import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow

from embedder.errors import ConfigurationError, UsageError
from embedder.explore.labels import Labels, write_labels
from embedder.grid import BLOCK_PIXELS, COLUMN_PIXELS, NORTH, TILE_PIXELS, VERSIONS, WEST, Tile, format_columns
from embedder.recipes import BANDS
from embedder.source.land_cover import MAP_PIXELS, map_key

TILE = Tile.from_name("N36W122")
"""The tile whose name and place the sample borrows."""
COLUMNS = range(74, 78)
"""Columns of the grid with complete chips."""
ROWS = range(309, 313)
"""Chip rows (of 512 pixels) that are complete in each of `COLUMNS`."""
LABELLED = {
    "land": [(column, row) for column in (75, 77) for row in ROWS],
    "sea": [(74, 310), (74, 311)],
    "shore": [(74, 309), (74, 312)],
}
"""Chips of which one can say at a glance what they show, column and row, by class."""
MARGIN_PIXELS = 250
"""How far the ragged edge reaches beyond the complete chips, pixels, at most."""
BURNT_YEAR = 2021
"""The year in which some fields have burnt, for change search."""

MAP_CORNER = (36, -123)
"""Latitude and longitude of the land cover map's tile that holds `TILE`, its south-west corner, degrees."""

_SEED = 36_122
_LEFT, _RIGHT = (c * COLUMN_PIXELS - TILE.window.x for c in (COLUMNS.start, COLUMNS.stop))
_TOP, _BOTTOM = (r * COLUMN_PIXELS - TILE.window.y for r in (ROWS.start, ROWS.stop))
_STEP = 20
"""Reflectances are multiples of this: noise that nobody sees would only make the file large."""

_CACHE_BYTES = 128 * 2**20
"""GDAL\'s cache, bytes (which is what rasterio takes a number for); with less, blocks are decompressed again and again."""
_PIECE = 256
"""Width and height of what is painted at a time, pixels."""

_COG = {
    "level": 7,
    "num_threads": "ALL_CPUS",
    "overviews": "ignore_existing",
    "overview_count": 4,
    "overview_resampling": "nearest",
}

Array = NDArray[np.floating[Any]]
Cells = NDArray[np.integer[Any]]


def _spectrum(*reflectance: float) -> Array:
    """One colour of the palette: red, green, blue, NIR, reflectance x 10000."""
    return np.array(reflectance, np.float32)


DEEP, SHALLOW, PLUME, SURF = (
    _spectrum(130, 250, 390, 70),
    _spectrum(330, 560, 610, 130),
    _spectrum(640, 760, 640, 260),
    _spectrum(1900, 2000, 2000, 1600),
)
SAND, DUNE, MARSH, WILLOW = (
    _spectrum(2250, 1980, 1560, 2800),
    _spectrum(1120, 1000, 740, 2050),
    _spectrum(620, 690, 430, 2000),
    _spectrum(420, 560, 340, 2700),
)
GRASS, OAK, STREAM, ROAD = (
    _spectrum(1500, 1320, 860, 2550),
    _spectrum(380, 480, 300, 2250),
    _spectrum(420, 560, 520, 300),
    _spectrum(1350, 1300, 1230, 1650),
)
TRACK, BURNT, LAWN, STREET = (
    _spectrum(1500, 1260, 930, 2150),
    _spectrum(430, 400, 370, 620),
    _spectrum(620, 740, 470, 2700),
    _spectrum(1020, 1010, 980, 1350),
)
CROPS = np.array(
    [
        (340, 690, 360, 4300),  # a full canopy
        (400, 720, 390, 3900),
        (560, 830, 470, 3400),
        (700, 880, 540, 3000),
        (960, 1000, 690, 2600),  # rows that do not close yet
        (1240, 1120, 820, 2350),
        (900, 760, 590, 1450),  # wet bare soil
        (1150, 930, 700, 1700),
        (1500, 1200, 880, 2050),  # dry bare soil
        (1800, 1450, 1050, 2400),
        (1900, 1620, 1060, 2650),  # stubble
        (2300, 2250, 2120, 2900),  # under plastic
    ],
    np.float32,
)
CROP_WEIGHTS = np.array([9, 10, 12, 10, 10, 9, 9, 11, 9, 5, 5, 1.0])
ROOFS = np.array(
    [(1500, 1430, 1370, 1800), (1900, 1650, 1450, 2150), (1250, 1150, 1080, 1500), (2500, 2480, 2430, 2700), (1650, 1300, 1130, 1900)],
    np.float32,
)

MAP_CLASSES = {
    10: (OAK, WILLOW),
    30: (GRASS, DUNE, LAWN),
    40: tuple(CROPS),
    50: (STREET, ROAD, *ROOFS),
    60: (SAND, BURNT),
    80: (DEEP, SHALLOW, PLUME, SURF, STREAM),
    90: (MARSH,),
}
"""The palette by the numbers of the land cover map."""


@functools.cache
def _table(seed: int, size: int = 4096) -> Array:
    """Uniform random numbers that any block finds again."""
    return np.random.default_rng([_SEED, seed]).random(size, np.float32)


def _pick(seed: int, *cells: Cells) -> Array:
    """A uniform random number for each cell of a pattern, given the cell's whole-number coordinates."""
    key: Cells = np.array(seed)
    for factor, cell in zip((73_856_093, 19_349_663), cells, strict=False):
        key = key ^ (cell * factor)
    picked: Array = _table(seed)[(key ^ (key >> 13)) & 4095]
    return picked


def _ramp(value: Array, start: float, stop: float) -> Array:
    """0 up to `start`, 1 from `stop`, smooth between (either may be the larger)."""
    t: Array = np.clip((value - start) / (stop - start), 0, 1)
    return t * t * (3 - 2 * t)


def _noise(y: Array, x: Array, scale: float, seed: int, octaves: int = 1) -> Array:
    """Smooth noise, mostly within -1 to 1, over rows `y` and columns `x`: features of `scale` pixels, and `octaves - 1` halvings of it."""
    total = np.zeros((y.size, x.size), np.float32)
    for octave in range(octaves):
        lattice = _table(seed * 16 + octave, 128 * 128).reshape(128, 128) - np.float32(0.5)
        down, along = (_spline(axis / scale * 2**octave + 17.3 * octave) for axis in (y, x))
        across: Array = np.zeros((128, x.size), np.float32)
        for points, weight in along:
            across += lattice[:, points] * weight
        for points, weight in down:
            total += across[points] * (weight * np.float32(3.2 / 2**octave))[:, None]
    return total


def _spline(position: Array) -> list[tuple[Cells, Array]]:
    """The four lattice points around each position, with their weights in a cubic B-spline."""
    before = np.floor(position)
    t = (position - before).astype(np.float32)
    weights = ((1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (3 * (t**2 + t - t**3) + 1) / 6, t**3 / 6)
    return [((before.astype(np.int64) + step) & 127, weight) for step, weight in enumerate(weights)]


def _mix(image: Array, colour: Array, weight: Array) -> None:
    """Paint `colour`, one or one for each pixel, over the image in place, as far as `weight` goes."""
    image += (colour - image) * weight[..., None]


def _cover(image: Array, weight: Array, paint: Callable[[], Array]) -> None:
    """`_mix` with a picture that is only made where some of it shows."""
    if weight.any():
        _mix(image, paint(), weight)


def _turned(y: Array, x: Array, degrees: float) -> tuple[Array, Array]:
    """Coordinates along and across a direction."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (x * cos + y[:, None] * sin).astype(np.float32), (y[:, None] * cos - x * sin).astype(np.float32)


def _coast(y: Array) -> Array:
    """How far east the shore is, in each row: the arc of a bay."""
    bend = (y - _TOP - 1100) / 1000
    east: Array = _LEFT + 520 - 190 * bend * bend + 60 * bend + 14 * np.sin(y / 140) + 6 * np.sin(y / 37 + 1)
    return east


def _river(x: Array) -> Array:
    """How far south the river is, in each column."""
    t = x - _LEFT
    swing = np.minimum(1, np.maximum(0, t - 480) / 400)
    south: Array = _TOP + 870 + 0.42 * t + swing * (75 * np.sin(t / 150) + 42 * np.sin(t / 71 + 2) + 16 * np.sin(t / 29))
    return south


def _fields(y: Array, x: Array, degrees: float, seed: int) -> Array:
    """A plain divided into plots, with farm tracks and roads between them."""
    along, across = _turned(y, x, degrees)
    widths = 34 + 75 * _table(seed) ** 1.5
    edges = np.cumsum(widths) - 30_000
    strip = np.searchsorted(edges, along)
    left = edges[strip - 1]
    length = 26 + 90 * _pick(seed + 1, strip)
    place = across / length + 50 * _pick(seed + 2, strip)
    plot = np.floor(place).astype(np.int64)
    within = place - plot
    side = np.minimum(along - left, edges[strip] - along)
    end = np.minimum(within, 1 - within) * length

    # Some plots are part harvested, and some are one with their neighbour.
    plot = np.where(_pick(seed + 3, strip) < 0.3, plot >> 1, plot)
    split = (within > 0.25 + 0.5 * _pick(seed + 4, strip, plot)) & (_pick(seed + 5, strip, plot) < 0.25)
    kind = np.searchsorted(np.cumsum(CROP_WEIGHTS) / CROP_WEIGHTS.sum(), _pick(seed + 6, strip, plot * 2 + split) * 0.9999)
    image = CROPS[kind] * (0.84 + 0.32 * _pick(seed + 7, strip, plot))[..., None]
    uneven = 1 + 0.07 * _noise(y, x, 45, seed, 3)
    rows = np.sin((along * 0.93 + across * 0.05) * (1.1 + 0.7 * _pick(seed + 8, strip, plot)))
    image *= (uneven + 0.035 * rows * (_pick(seed + 9, strip, plot) < 0.5))[..., None]
    _mix(image, TRACK, 0.75 * np.clip(1.5 - np.minimum(side, end), 0, 1) * (_pick(seed + 10, strip) < 0.8))
    road = (strip % 6 == 0) * np.clip(1.9 - (along - left), 0, 1)
    _mix(image, ROAD, np.maximum(road, np.clip(1.6 - np.abs((across + 160) % 310 - 155), 0, 1)))
    return image


def _town(y: Array, x: Array, degrees: float, seed: int) -> Array:
    """Streets, houses with gardens, and halls."""
    along, across = _turned(y, x, degrees)
    image = np.broadcast_to(LAWN, (y.size, x.size, len(BANDS))).copy()
    house = np.floor(along / 2.2).astype(np.int64), np.floor(across / 2.6).astype(np.int64)
    roof = ROOFS[(_pick(seed, *house) * len(ROOFS)).astype(np.int64)]
    _mix(image, roof, 0.22 + 0.3 * _pick(seed + 1, *house))
    _mix(image, OAK, 0.45 * (_pick(seed + 2, *house) < 0.2 + 0.15 * _noise(y, x, 40, seed)))
    image *= (0.9 + 0.2 * _pick(seed + 5, np.floor(along / 26).astype(np.int64), np.floor(across / 27).astype(np.int64)))[..., None]
    hall = np.floor(along / 13).astype(np.int64), np.floor(across / 18).astype(np.int64)
    _mix(image, ROOFS[(_pick(seed + 3, *hall) * 4).astype(np.int64)] * np.float32(1.12), (_pick(seed + 4, *hall) < 0.10) * np.float32(0.9))
    street = np.minimum(np.minimum(along % 13, 13 - along % 13), np.minimum(across % 27, 27 - across % 27))
    _mix(image, STREET, 0.9 * np.clip(1.1 - street, 0, 1))
    avenue = np.minimum(np.abs(along % 156 - 78), np.abs(across % 216 - 108))
    _mix(image, ROAD, np.clip(2.2 - avenue, 0, 1))
    return image


def _hills(y: Array, x: Array) -> Array:
    """Dry grass and oak woods in slanting light."""
    land = _height(np.append(y, y[-1] + 1), np.append(x, x[-1] + 1))
    light = 0.17 * ((land[:-1, 1:] - land[:-1, :-1]) + (land[1:, :-1] - land[:-1, :-1]))
    image = np.broadcast_to(GRASS, (y.size, x.size, len(BANDS))).copy()
    image *= (1 + 0.12 * _noise(y, x, 130, 60, 4))[..., None]
    _mix(image, OAK, 0.92 * _ramp(_noise(y, x, 64, 61, 5) - 1.5 * light, 0.05, 0.4))
    image *= np.clip(1 + light, 0.5, 1.4)[..., None]
    return image


def _height(y: Array, x: Array) -> Array:
    """Metres above the plain: ridges in the north-east."""
    rise = _ramp((x - _LEFT) * 0.75 - (y[:, None] - _TOP) * 0.9 + 160 * _noise(y, x, 420, 62, 2), 650, 1750)
    return rise * (25 + sum(np.abs(_noise(y, x, scale, 63 + scale)) * scale for scale in (210, 105, 52, 26)))


def _plain(y: Array, x: Array, year: int, river: Array) -> Array:
    """Fields on both sides of the river, and where some of them have burnt."""
    image = _fields(y, x, 33, 100)
    _cover(image, np.broadcast_to((y[:, None] > river).astype(np.float32), image.shape[:2]), lambda: _fields(y, x, 8, 200))
    if year == BURNT_YEAR:
        along, across = _turned(y - (_TOP + 1560), x - (_LEFT + 1120), 8)
        scar = np.maximum(np.abs(along), np.abs(across)) + 12 * _noise(y, x, 40, 2, 3)
        _mix(image, BURNT, 0.9 * _ramp(scar, 178, 170))
    return image


def _land(y: Array, x: Array, year: int, offshore: Array) -> Array:
    """Everything that is not sea."""
    river = _river(x)
    slope = _river(x + 0.5) - _river(x - 0.5)
    bank = (np.abs(y[:, None] - river) / np.sqrt(1 + slope * slope)).astype(np.float32)  # from the river's middle, pixels
    mouth = np.hypot((y - (_TOP + 1060))[:, None], x - (_LEFT + 520))

    image = _plain(y, x, year, river)
    _cover(image, _ramp(_height(y, x) + 14 * _noise(y, x, 60, 3, 4), 20, 21.5), lambda: _hills(y, x))
    from_town = np.hypot((y - (_TOP + 560))[:, None], x - (_LEFT + 960)) + 110 * _noise(y, x, 130, 4, 3)
    _cover(image, _ramp(from_town, 250, 238), lambda: _town(y, x, 33, 300))
    from_village = np.hypot((y - (_TOP + 1750))[:, None], x - (_LEFT + 760)) + 45 * _noise(y, x, 60, 5, 3)
    _cover(image, _ramp(from_village, 92, 86), lambda: _town(y, x, 8, 400))
    marsh = _ramp(mouth + 70 * _noise(y, x, 60, 10, 3), 190, 165)
    _cover(image, 0.95 * marsh, lambda: MARSH * (1 + 0.3 * _noise(y, x, 14, 9, 3))[..., None])
    _mix(image, STREAM, marsh * _ramp(np.abs(_noise(y, x, 55, 11, 2)), 0.12, 0.06))
    _mix(image, WILLOW, 0.9 * _ramp(bank + 14 * _noise(y, x, 26, 6, 3), 30, 20))
    _mix(image, SAND * np.float32(0.85), _ramp(bank + 6 * _noise(y, x, 18, 7, 2), 14, 9) * 0.8)
    _cover(image, _ramp(offshore + 22 * _noise(y, x, 70, 13, 3), -52, -44), lambda: DUNE * (1 + 0.22 * _noise(y, x, 12, 12, 3))[..., None])
    _mix(image, SAND, _ramp(offshore + 4 * _noise(y, x, 24, 14, 2), -15, -9))
    _mix(image, STREAM, _ramp(bank + 3 * _noise(y, x, 50, 8, 2), 6.5, 4.5))
    image *= (1 + 0.035 * _noise(y, x, 2, 15) + 0.03 * _noise(y, x, 900, 16, 2))[..., None]
    return image


def _sea(y: Array, x: Array, offshore: Array) -> Array:
    """Deep water, shallows, what the river carries out, and breakers."""
    image = np.broadcast_to(DEEP, (y.size, x.size, len(BANDS))).copy()
    _mix(image, SHALLOW, np.exp(-np.maximum(offshore, 0) / (110 + 35 * _noise(y, x, 200, 17, 2))))
    drift = np.hypot((y - (_TOP + 1180))[:, None] * 0.5, x - (_LEFT + 520)) + 70 * _noise(y, x, 210, 18, 4)
    _mix(image, PLUME, 0.75 * _ramp(drift, 300, 0))
    image *= (1 + 0.05 * _noise(y, x, 300, 19, 4))[..., None]
    breakers = _ramp(np.abs(offshore - 5 - 3 * _noise(y, x, 45, 20, 2)), 3.2, 1) * _ramp(_noise(y, x, 22, 21, 2), -0.5, 0.4)
    _mix(image, SURF, 0.85 * breakers)
    return image


def _paint(y: Array, x: Array, year: int) -> NDArray[np.uint16]:
    """The ground at pixel rows `y` and columns `x` of the tile: (4, rows, columns)."""
    offshore = _coast(y)[:, None] - x + 5 * _noise(y, x, 30, 1, 3)  # > 0 at sea, pixels
    image = np.zeros((y.size, x.size, len(BANDS)), np.float32)
    _cover(image, (offshore < 1).astype(np.float32), lambda: _land(y, x, year, offshore))
    _cover(image, _ramp(offshore, -1, 1), lambda: _sea(y, x, offshore))
    pixels = np.maximum(np.rint(image / _STEP) * _STEP, _STEP).astype(np.uint16)
    return np.moveaxis(pixels * _seen(y, x)[..., None], -1, 0)


def _seen(y: Array, x: Array) -> NDArray[np.bool_]:
    """Where the composite has data: the complete chips, inside the slanting and stepped edges of an orbit's swath."""
    along, across = _turned(y - (_TOP + _BOTTOM) / 2, x - (_LEFT + _RIGHT) / 2, 6)
    reach = (_RIGHT - _LEFT) / 2 * 1.1
    steps = 10 * _pick(23, np.floor(across / 90).astype(np.int64)), 10 * _pick(24, np.floor(along / 130).astype(np.int64))
    return (np.abs(along) < reach + steps[0]) & (np.abs(across) < reach + steps[1])


def _windows() -> Iterator[RasterWindow]:
    """What is painted, in pieces that keep memory low; the rest of the file stays sparse."""
    left, top = ((edge - MARGIN_PIXELS) // _PIECE * _PIECE for edge in (_LEFT, _TOP))
    for y in range(top, _BOTTOM + MARGIN_PIXELS, _PIECE):
        for x in range(left, _RIGHT + MARGIN_PIXELS, _PIECE):
            yield RasterWindow(x, y, _PIECE, _PIECE)


def write_sample(folder: Path, year: int = 2020) -> Path:
    """Write the sample tile under `folder`, which then stands in for the public bucket; one that is there already is kept."""
    if year not in VERSIONS:
        raise UsageError(f"there is no sample for {year}: use one of {', '.join(map(str, VERSIONS))}")
    path = folder / TILE.key(year)
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "count": len(BANDS),
        "dtype": "uint16",
        "nodata": 0,
        "width": TILE_PIXELS,
        "height": TILE_PIXELS,
        "transform": rasterio.Affine(1 / TILE_PIXELS, 0, WEST + TILE.column, 0, -1 / TILE_PIXELS, NORTH - TILE.row),
    }
    pieces = ((window, _painted(window, year)) for window in _windows())
    _write_cog(path, profile, ("B04", "B03", "B02", "B08"), pieces, predictor=2)  # what Sentinel-2 calls BANDS
    return path


def write_map(folder: Path, year: int = 2020) -> Path:
    """Write the sample's land cover map beside it under `folder`, in the layout of the map's bucket; one that is there already is kept.

    A pixel's class is that of the palette's colour that is nearest to it: right for most of the ground, as a real map is.
    """
    path = folder / map_key(year, *MAP_CORNER)
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    south, west = MAP_CORNER
    north = south + MAP_PIXELS // TILE_PIXELS
    x, y = (WEST + TILE.column - west) * TILE_PIXELS, (north - NORTH + TILE.row) * TILE_PIXELS
    profile = {
        "count": 1,
        "dtype": "uint8",
        "nodata": 0,
        "width": MAP_PIXELS,
        "height": MAP_PIXELS,
        "transform": rasterio.Affine(1 / TILE_PIXELS, 0, west, 0, -1 / TILE_PIXELS, north),
    }
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES), rasterio.open(write_sample(folder, year)) as tile:
        pieces = (
            (RasterWindow(x + window.col_off, y + window.row_off, _PIECE, _PIECE), _classes(tile.read(window=window)))
            for window in _windows()
        )
        _write_cog(path, profile, ("Map",), pieces, predictor=1)
    return path


def _classes(pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The map's classes (1, rows, columns) of painted pixels (4, rows, columns), 0 where there are none."""
    numbers = np.array([number for number, colours in MAP_CLASSES.items() for _ in colours], np.uint8)
    palette = np.sqrt(np.vstack([np.vstack(colours) for colours in MAP_CLASSES.values()]))
    seen = np.sqrt(pixels.reshape(len(BANDS), -1).T.astype(np.float32))
    away = (palette**2).sum(axis=1) - 2 * seen @ palette.T  # squared, less the same for all
    classes: NDArray[np.uint8] = numbers[away.argmin(axis=1)] * pixels.any(axis=0).ravel()
    return classes.reshape(1, *pixels.shape[1:])


def _painted(window: RasterWindow, year: int) -> NDArray[np.uint16]:
    y, x = (np.arange(start, start + _PIECE, dtype=np.float32) for start in (window.row_off, window.col_off))
    return _paint(y, x, year)


def _write_cog(
    path: Path,
    profile: dict[str, Any],
    bands: tuple[str, ...],
    pieces: Iterable[tuple[RasterWindow, NDArray[np.unsignedinteger]]],
    *,
    predictor: int,
) -> None:
    """Write the pieces as one file, there whole or not at all; the rest of it stays sparse."""
    layout = {"compress": "deflate", "predictor": predictor, "interleave": "pixel", "sparse_ok": True}
    with tempfile.TemporaryDirectory(prefix=".sample-", dir=path.parent) as scratch, rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
        plain, cog = Path(scratch, "plain.tif"), Path(scratch, "cog.tif")
        blocks = {"tiled": True, "blockxsize": BLOCK_PIXELS, "blockysize": BLOCK_PIXELS, "interleave": "pixel", "sparse_ok": True}
        with rasterio.open(plain, "w", driver="GTiff", crs="EPSG:4326", **profile, **blocks) as target:
            target.descriptions = bands
            for window, pixels in pieces:
                target.write(pixels, window=window)
        rasterio.shutil.copy(plain, cog, driver="COG", blocksize=BLOCK_PIXELS, **layout, **_COG)
        cog.replace(path)


def write_sample_labels(folder: Path) -> Path:
    """Write what some of the chips show, for `embedder classify`."""
    classes = tuple(LABELLED)
    labelled = sorted((place, code) for code, name in enumerate(classes) for place in LABELLED[name])
    chips, codes = np.array([place for place, _ in labelled], np.int16), np.array([code for _, code in labelled])
    path = folder / "labels.geojson"
    write_labels(Labels(pixels=COLUMN_PIXELS, chips=chips, codes=codes, classes=classes), path)
    return path


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--year", type=click.Choice(sorted(VERSIONS)), default=2020, show_default=True)
def main(folder: Path, year: int) -> None:
    """Write the sample tile under FOLDER, in the source's layout, and its land cover map, in that of the map's bucket."""
    try:
        path = write_sample(folder, year)
        made_map = write_map(folder, year)
        labels = write_sample_labels(folder)
    except (OSError, RasterioError, ConfigurationError) as error:
        click.echo(f"error: the sample cannot be written to {folder}: {error}: choose a folder with 200 MB free to write to", err=True)
        sys.exit(ConfigurationError.exit_code)
    click.echo(f"Sample source tile: {path} ({path.stat().st_size / 1e6:.1f} MB, columns {format_columns(list(COLUMNS))})")
    click.echo(f"Sample land cover map: {made_map} ({made_map.stat().st_size / 1e6:.1f} MB)")
    click.echo(f"Sample labels: {labels} ({', '.join(f'{name} {len(places)}' for name, places in LABELLED.items())})")


if __name__ == "__main__":
    main()
