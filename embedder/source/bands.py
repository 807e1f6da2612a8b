"""Rows of blocks of a strip: read ahead in threads, each block fetched and decoded once, and kept as long as chips need it."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np

from embedder.grid import BLOCK_PIXELS, TILE_PIXELS, Tile, Window, tile_windows
from embedder.machine import cpu_count
from embedder.source.blocks import BLOCK_BYTES, BLOCK_SHAPE, Pixels, blocks_of
from embedder.source.inventory import Inventory, Source
from embedder.source.tiles import Piece, TileReader, enter_gdal_env

READ_AHEAD_BYTES = 512_000_000
"""Of decoded blocks that are being fetched or wait to be used."""
THREADS_PER_CPU = 4
"""Reading threads, most of which wait for a server."""
MOST_THREADS = 32
"""As many connections as the source's client keeps."""


@dataclass(frozen=True, kw_only=True)
class _Band:
    """The part of the strip that lies in one row of blocks."""

    y: int
    height: int
    parts: dict[Tile, Window]
    """The tiles that exist, each with its window in the tile's own pixels."""


class BandReader:
    """Reads the bands that some rows of chips need, and keeps those that the next row needs."""

    def __init__(self, source: Source, inventory: Inventory, year: int, strip: Window, *, rows: Sequence[range]) -> None:
        """`rows` are those of the chips, in pixels of the grid, from north to south."""
        bands = _bands(strip, inventory)
        self._waiting = deque(band for band in bands if any(y.start < band.y + band.height and band.y < y.stop for y in rows))
        self._reading: deque[tuple[_Band, list[Future[list[Piece]]]]] = deque()
        self._kept: deque[tuple[_Band, list[Piece]]] = deque()
        self._free: deque[Pixels] = deque()
        """Blocks whose memory is used again: fresh pages cost as much CPU time as decoding does."""
        self._stop = threading.Event()
        touched = {tile for band in self._waiting for tile in band.parts}
        self._readers = {tile: TileReader(source, tile.key(year), tile, inventory[tile], self._stop) for tile in touched}
        threads = min(THREADS_PER_CPU * cpu_count(), MOST_THREADS)
        largest = max(sum(len(blocks_of(part)) for part in band.parts.values()) for band in self._waiting) * BLOCK_BYTES
        self._ahead = max(1, min(threads, READ_AHEAD_BYTES // largest))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="read", initializer=enter_gdal_env)

    def __enter__(self) -> Self:
        self._read_ahead()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def rows(self, y: int, height: int) -> list[Piece]:
        """What there is of rows [y, y + height) of the grid. Called from north to south; what it gave before may change then."""
        while self._kept and self._kept[0][0].y + self._kept[0][0].height <= y:
            self._free.extend(piece.pixels for piece in self._kept.popleft()[1])
        while self._reading and self._reading[0][0].y < y + height:
            band, parts = self._reading.popleft()
            self._read_ahead()
            self._kept.append((band, [piece for part in parts for piece in part.result()]))
        return [piece for _, pieces in self._kept for piece in pieces]

    def _read_ahead(self) -> None:
        while self._waiting and len(self._reading) < self._ahead:
            band, submit = self._waiting.popleft(), self._pool.submit
            self._reading.append((band, [submit(self._readers[tile].read, part, self._new_block) for tile, part in band.parts.items()]))

    def _new_block(self) -> Pixels:
        try:
            return self._free.popleft()
        except IndexError:
            return np.empty(BLOCK_SHAPE, np.uint16)


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
