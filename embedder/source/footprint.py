"""What of a column is read, foreseen from the listing and the area alone: its chips' outcomes, and the blocks that they touch."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from embedder.area import Area
from embedder.grid import (
    BLOCK_PIXELS,
    BLOCKS_ACROSS,
    COLUMN_PIXELS,
    TILE_PIXELS,
    TILES_HIGH,
    TILES_WIDE,
    column_window,
    tile_windows,
)
from embedder.source.inventory import Inventory

Corners = NDArray[np.int64]
"""(n, 2): the y and x of chips' north-west corners, pixels of the grid."""


def foreseen(inventory: Inventory, column: int, chip_pixels: int, area: Area | None = None) -> str:
    """A letter for each chip of a column, in the order of `column_chips`: `o` outside the area, `t` a tile that it touches does not exist.

    Otherwise `e`: it is read, and may prove to be nodata.
    """
    window = column_window(column)
    present = {(tile.row, tile.column) for tile in tile_windows(window) if tile in inventory}
    steps = [range(start, start + length, chip_pixels) for start, length in ((window.y, window.height), (window.x, window.width))]
    touched = [[{first // TILE_PIXELS, (first + chip_pixels - 1) // TILE_PIXELS} for first in firsts] for firsts in steps]
    letters = ["e" if present.issuperset(product(rows, columns)) else "t" for rows in touched[0] for columns in touched[1]]
    if area:
        letters = [letter if belongs else "o" for letter, belongs in zip(letters, area.has(column), strict=True)]
    return "".join(letters)


def corners_to_read(letters: str, column: int, chip_pixels: int) -> Corners:
    """Of the chips of a column that are foreseen to be read."""
    across = COLUMN_PIXELS // chip_pixels
    places = np.flatnonzero(np.frombuffer(letters.encode(), "S1") == b"e")
    return np.stack([places // across * chip_pixels, column * COLUMN_PIXELS + places % across * chip_pixels], axis=1)


def blocks_touched(corners: Corners, chip_pixels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The y and x of the blocks that chips touch, each once, from the north, then from the west.

    They are counted over all tiles of the grid, BLOCKS_ACROSS a tile.
    """
    touched = np.zeros((TILES_HIGH * BLOCKS_ACROSS, TILES_WIDE * BLOCKS_ACROSS), bool)
    first, last = _block(corners), _block(corners + chip_pixels - 1)  # no block is narrower than a chip: a chip touches one or two
    for y, x in product((first[:, 0], last[:, 0]), (first[:, 1], last[:, 1])):
        touched[y, x] = True
    ys, xs = np.nonzero(touched)
    return ys, xs


def starts_block(column: int) -> bool:
    """Whether a block begins where a column does, so that a cut there makes nobody read a block twice."""
    return column * COLUMN_PIXELS % TILE_PIXELS % BLOCK_PIXELS == 0


def _block(pixels: Corners) -> Corners:
    return pixels // TILE_PIXELS * BLOCKS_ACROSS + pixels % TILE_PIXELS // BLOCK_PIXELS
