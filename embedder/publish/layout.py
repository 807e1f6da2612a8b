"""How a year's chips are shared out: files are bands of columns, row groups are square cells, cells follow a curve."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from embedder.grid import COLUMN_PIXELS, TILE_PIXELS, TILES_WIDE
from embedder.output.chip_ids import Chips
from embedder.publish.curve import hilbert

CELL_CHIPS = 32
"""Width and height of a cell, chips, a power of two: 1024 rows, or 3 MB of float32, are a row group (`benchmarks/publish.py`)."""
FILE_BYTES = 250_000_000
"""Of vectors, after which a file is full: a band is in memory while its file is made."""
LEAST_BYTES = 100_000_000
"""A last file with fewer joins the one before it."""


def columns_in_cell(chip_pixels: int) -> int:
    """Columns that a cell is wide."""
    return CELL_CHIPS * chip_pixels // COLUMN_PIXELS


def bands(rows: Mapping[int, int], *, chip_pixels: int, row_bytes: int) -> list[tuple[int, ...]]:
    """The columns of each file, west to east, from each column's rows: whole cells wide, and each file of FILE_BYTES and a little more.

    Columns without rows are in none.
    """
    wide = columns_in_cell(chip_pixels)
    strips: dict[int, list[int]] = {}
    for column in sorted(rows):
        if rows[column]:
            strips.setdefault(column // wide, []).append(column)
    found: list[tuple[int, ...]] = []
    size = FILE_BYTES
    for columns in strips.values():
        if size >= FILE_BYTES:
            found.append(())
            size = 0
        found[-1] += tuple(columns)
        size += sum(rows[column] for column in columns) * row_bytes
    if len(found) > 1 and size < LEAST_BYTES:
        last = found.pop()
        found[-1] += last
    return found


def spatial_order(chips: Chips, chip_pixels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order in which a file's rows lie along the curve, and how many of them, in it, are in each cell."""
    order = (TILES_WIDE * TILE_PIXELS // chip_pixels).bit_length()
    along = hilbert(chips, order)
    rows = np.argsort(along, kind="stable")
    _, counts = np.unique(along[rows] // CELL_CHIPS**2, return_counts=True)
    return rows, counts
