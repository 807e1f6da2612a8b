"""A strip of adjacent columns, read north to south: each block fetched and decoded once, chips cut from a rolling window."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from embedder.grid import (
    BLOCK_PIXELS,
    COLUMN_PIXELS,
    HEIGHT_PIXELS,
    TILE_PIXELS,
    Chip,
    Tile,
    Window,
    column_chips,
    column_window,
    tile_windows,
)
from embedder.source.inventory import Inventory, Source

if TYPE_CHECKING:
    from embedder.source.tiles import TileReader

Pixels = NDArray[np.uint16]

READ_AHEAD = 4
"""Block rows being fetched or waiting to be used; each holds at most 8 MB for each 1024 pixels of the strip's width."""
THREADS = 4


@dataclass(frozen=True, kw_only=True)
class ChipRead:
    """A chip as the source has it."""

    chip: Chip
    column: int
    """The column that the chip belongs to."""
    outcome: str
    """`e` to be embedded, `n` it has a nodata pixel, `t` a tile that it touches does not exist."""
    pixels: Pixels | None
    """(band, y, x), reflectance x 10000; only where the outcome is `e`."""


@dataclass(frozen=True, kw_only=True)
class _Band:
    """The part of the strip that lies in one row of blocks."""

    y: int
    height: int
    parts: dict[Tile, Window]
    """The tiles that exist, each with its window in the tile's own pixels."""


def read_strip(source: Source, inventory: Inventory, year: int, columns: Sequence[int], chip_pixels: int) -> Iterator[ChipRead]:
    """Every chip of adjacent columns, row by row from the north, each row from west to east.

    Raises SourceError or TemporaryError as `TileReader.read` does. Memory does not depend on the columns' length.
    """
    if list(columns) != list(range(columns[0], columns[-1] + 1)):
        raise ValueError(f"columns {columns} are not adjacent")
    first, last = column_window(columns[0]), column_window(columns[-1])
    strip = Window(x=first.x, y=0, width=last.x + last.width - first.x, height=HEIGHT_PIXELS)
    across = COLUMN_PIXELS // chip_pixels
    parts = [
        [(column, chip, exists) for chip, exists in zip(column_chips(column, chip_pixels), found, strict=True)]
        for column, found in ((column, chips_with_tiles(inventory, column, chip_pixels)) for column in columns)
    ]
    rows = [[place for part in parts for place in part[first : first + across]] for first in range(0, len(parts[0]), across)]
    needed = [row[0][1].window.y for row in rows if any(exists for *_, exists in row)]
    bands = [band for band in _bands(strip, inventory) if any(y < band.y + band.height and band.y < y + chip_pixels for y in needed)]
    with _BandReader(source, inventory, year, strip, bands) as reader:
        for row in rows:
            pixels = reader.rows(row[0][1].window.y, chip_pixels) if any(exists for *_, exists in row) else None
            for column, chip, exists in row:
                yield _cut(chip, column, pixels if exists else None, strip.x)


def chips_with_tiles(inventory: Inventory, column: int, chip_pixels: int) -> list[bool]:
    """For each chip of a column, in the order of `column_chips`, whether every tile that it touches exists."""
    window = column_window(column)
    present = {(tile.row, tile.column) for tile in tile_windows(window) if tile in inventory}
    steps = [range(start, start + length, chip_pixels) for start, length in ((window.y, window.height), (window.x, window.width))]
    touched = [[{first // TILE_PIXELS, (first + chip_pixels - 1) // TILE_PIXELS} for first in firsts] for firsts in steps]
    return [present.issuperset(product(rows, columns)) for rows in touched[0] for columns in touched[1]]


def _cut(chip: Chip, column: int, pixels: Pixels | None, strip_x: int) -> ChipRead:
    if pixels is None:
        return ChipRead(chip=chip, column=column, outcome="t", pixels=None)
    x = chip.window.x - strip_x
    cut = pixels[:, :, x : x + chip.pixels]
    if not cut.all():
        return ChipRead(chip=chip, column=column, outcome="n", pixels=None)
    return ChipRead(chip=chip, column=column, outcome="e", pixels=cut.copy())


def _bands(strip: Window, inventory: Inventory) -> Iterator[_Band]:
    """The strip cut at each tile's rows of blocks, north to south; those without any tile left out."""
    for tile_y in range(0, strip.height, TILE_PIXELS):
        for block_y in range(0, TILE_PIXELS, BLOCK_PIXELS):
            y = tile_y + block_y
            height = min(BLOCK_PIXELS, TILE_PIXELS - block_y, strip.height - y)
            if height <= 0:
                return
            window = Window(x=strip.x, y=y, width=strip.width, height=height)
            parts = {tile: part for tile, part in tile_windows(window).items() if tile in inventory}
            if parts:
                yield _Band(y=y, height=height, parts=parts)


class _BandReader:
    """Reads bands a few ahead, in threads, and keeps of them what the next row of chips needs."""

    def __init__(self, source: Source, inventory: Inventory, year: int, strip: Window, bands: list[_Band]) -> None:
        self._strip = strip
        self._waiting = deque(bands)
        self._reading: deque[tuple[_Band, dict[Tile, Future[Pixels]]]] = deque()
        self._stop = threading.Event()
        self._readers: dict[Tile, TileReader] = {}
        self._y = 0
        self._pixels: Pixels = np.empty((4, 0, strip.width), np.uint16)  # (band, y, x) from row self._y on
        if bands:
            from embedder.source import tiles  # noqa: PLC0415 - imports rasterio, which a column at sea does not need

            touched = {tile for band in bands for tile in band.parts}
            self._readers = {tile: tiles.TileReader(source, tile.key(year), tile, inventory[tile], self._stop) for tile in touched}
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="read", initializer=tiles.enter_gdal_env)

    def __enter__(self) -> Self:
        self._read_ahead()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._readers:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def rows(self, y: int, height: int) -> Pixels:
        """Rows [y, y + height) of the strip: (band, height, width). Called from north to south."""
        pieces = [self._pixels[:, y - self._y :]]  # empty where the rows between were not needed
        reached = y + pieces[0].shape[1]
        while reached < y + height:
            band, pixels = self._next_band()
            pieces.append(pixels[:, reached - band.y :])
            reached = band.y + band.height
        self._y, self._pixels = y, np.concatenate(pieces, axis=1)
        return self._pixels[:, :height]

    def _next_band(self) -> tuple[_Band, Pixels]:
        band, parts = self._reading.popleft()
        self._read_ahead()
        pixels: Pixels = np.zeros((4, band.height, self._strip.width), np.uint16)
        for tile, part in band.parts.items():
            x = tile.window.x + part.x - self._strip.x
            pixels[:, :, x : x + part.width] = parts[tile].result()
        return band, pixels

    def _read_ahead(self) -> None:
        while self._waiting and len(self._reading) < READ_AHEAD:
            band = self._waiting.popleft()
            self._reading.append((band, {tile: self._pool.submit(self._readers[tile].read, part) for tile, part in band.parts.items()}))
