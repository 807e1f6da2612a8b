"""Rows of the blocks that chips touch: read ahead in threads, each block fetched and decoded once, and kept as long as chips need it."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Self

import numpy as np

from embedder.grid import BLOCK_PIXELS, BLOCKS_ACROSS, TILE_PIXELS, Tile, Window
from embedder.machine import cpu_count
from embedder.source.blocks import BLOCK_BYTES, BLOCK_SHAPE, Pixels, blocks_of
from embedder.source.footprint import Corners, blocks_touched
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
    """What is read of one row of blocks."""

    y: int
    height: int
    parts: list[tuple[Tile, Window]]
    """Whole blocks that lie together, as windows in their tile's own pixels."""


class BandReader:
    """Reads the bands that chips need, and keeps those that the next row needs."""

    def __init__(self, source: Source, inventory: Inventory, year: int, corners: Corners, chip_pixels: int) -> None:
        """`corners` are those of the chips to be read, at least one, whose tiles all exist."""
        self._waiting = deque(_bands(corners, chip_pixels))
        self._reading: deque[tuple[_Band, list[Future[list[Piece]]]]] = deque()
        self._kept: deque[tuple[_Band, list[Piece]]] = deque()
        self._free: deque[Pixels] = deque()
        """Blocks whose memory is used again: fresh pages cost as much CPU time as decoding does."""
        self._stop = threading.Event()
        touched = {tile for band in self._waiting for tile, _ in band.parts}
        self._readers = {tile: TileReader(source, tile.key(year), tile, inventory[tile], self._stop) for tile in touched}
        threads = min(THREADS_PER_CPU * cpu_count(), MOST_THREADS)
        largest = max(sum(len(blocks_of(part)) for _, part in band.parts) for band in self._waiting) * BLOCK_BYTES
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
            self._reading.append((band, [submit(self._readers[tile].read, part, self._new_block) for tile, part in band.parts]))

    def _new_block(self) -> Pixels:
        try:
            return self._free.popleft()
        except IndexError:
            return np.empty(BLOCK_SHAPE, np.uint16)


def _bands(corners: Corners, chip_pixels: int) -> Iterator[_Band]:
    """The blocks that the chips touch, by rows of blocks, from the north."""
    for y, group in groupby(zip(*(axis.tolist() for axis in blocks_touched(corners, chip_pixels)), strict=True), key=itemgetter(0)):
        row, down = divmod(y, BLOCKS_ACROSS)
        height = min(BLOCK_PIXELS, TILE_PIXELS - down * BLOCK_PIXELS)
        parts: list[tuple[Tile, Window]] = []
        for run in _runs([x for _, x in group]):
            column, across = divmod(run[0], BLOCKS_ACROSS)
            x = across * BLOCK_PIXELS
            width = min(len(run) * BLOCK_PIXELS, TILE_PIXELS - x)
            parts.append((Tile(row=row, column=column), Window(x=x, y=down * BLOCK_PIXELS, width=width, height=height)))
        yield _Band(y=row * TILE_PIXELS + down * BLOCK_PIXELS, height=height, parts=parts)


def _runs(blocks: Sequence[int]) -> list[list[int]]:
    """Blocks of one row that lie beside each other in the same tile."""
    runs: list[list[int]] = []
    for x in blocks:
        if runs and x == runs[-1][-1] + 1 and x % BLOCKS_ACROSS:
            runs[-1].append(x)
        else:
            runs.append([x])
    return runs
