"""The chips of a strip of adjacent columns, row by row from the north, each chip's pixels copied once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.area import Area
from embedder.grid import COLUMN_PIXELS, Chip, Window, column_chips
from embedder.recipes import BANDS
from embedder.source.footprint import corners_to_read, foreseen
from embedder.source.inventory import Inventory, Source

if TYPE_CHECKING:
    from embedder.source.tiles import Piece

Pixels = NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True)
class ChipRead:
    """A chip as the source has it."""

    chip: Chip
    column: int
    """The column that the chip belongs to."""
    outcome: str
    """`e` to be embedded, `n` it has a nodata pixel, `t` a tile that it touches does not exist, `o` it is outside the area."""
    pixels: Pixels | None
    """(band, y, x), reflectance x 10000; only where the outcome is `e`."""


def read_strip(
    source: Source,
    inventory: Inventory,
    year: int,
    columns: Sequence[int],
    chip_pixels: int,
    *,
    area: Area | None = None,
    room: Callable[[], Pixels] | None = None,
) -> Iterator[ChipRead]:
    """Every chip of adjacent columns, row by row from the north, each row from west to east. Of an area only its own chips are read.

    `room` gives where the next chip's pixels go, (band, y, x), quickest as `new_pixels` has it; what a chip leaves there that is not to be
    embedded, the next may overwrite. Raises SourceError or TemporaryError as `TileReader.read` does. Memory does not depend on the columns'
    length.
    """
    if list(columns) != list(range(columns[0], columns[-1] + 1)):
        raise ValueError(f"columns {columns} are not adjacent")
    across = COLUMN_PIXELS // chip_pixels
    letters = {column: foreseen(inventory, column, chip_pixels, area) for column in columns}
    parts = [
        [(column, chip, letter) for chip, letter in zip(column_chips(column, chip_pixels), found, strict=True)]
        for column, found in letters.items()
    ]
    rows = [[place for part in parts for place in part[first : first + across]] for first in range(0, len(parts[0]), across)]
    corners = np.concatenate([corners_to_read(found, column, chip_pixels) for column, found in letters.items()])
    room = room or (lambda: new_pixels((), chip_pixels))
    with ExitStack() as stack:
        if len(corners):
            from embedder.source.bands import BandReader  # noqa: PLC0415 - imports rasterio, which a column at sea does not need

            reader = stack.enter_context(BandReader(source, inventory, year, corners, chip_pixels))
        for row in rows:
            pieces = reader.rows(row[0][1].window.y, chip_pixels) if any(letter == "e" for *_, letter in row) else []
            for column, chip, letter in row:
                pixels = _cut(chip.window, pieces, room) if letter == "e" else None
                outcome = "n" if letter == "e" and pixels is None else letter
                yield ChipRead(chip=chip, column=column, outcome=outcome, pixels=pixels)


def new_pixels(shape: tuple[int, ...], chip_pixels: int) -> Pixels:
    """Room for chips, (*shape, band, y, x), whose bands lie next to each other in memory."""
    return np.moveaxis(np.empty((*shape, chip_pixels, chip_pixels, len(BANDS)), np.uint16), -1, -3)


def _cut(window: Window, pieces: Sequence["Piece"], room: Callable[[], Pixels]) -> Pixels | None:
    """The pixels of a window of the grid, (band, y, x); None where one of them is nodata."""
    parts = [(part, piece) for piece in pieces if (part := _overlap(window, piece.window))]
    if sum(part.width * part.height for part, _ in parts) < window.width * window.height:
        return None  # a block without bytes
    pixels = room()
    for part, piece in parts:
        here, there = (_slices(part, whole) for whole in (window, piece.window))
        pixels.transpose(1, 2, 0)[here] = piece.pixels[there]
    return pixels if pixels.min() else None


def _overlap(a: Window, b: Window) -> Window | None:
    x, y = max(a.x, b.x), max(a.y, b.y)
    width, height = min(a.x + a.width, b.x + b.width) - x, min(a.y + a.height, b.y + b.height) - y
    return Window(x=x, y=y, width=width, height=height) if width > 0 and height > 0 else None


def _slices(part: Window, whole: Window) -> tuple[slice, slice]:
    """Of (y, x): where a part of a window lies in it."""
    y, x = part.y - whole.y, part.x - whole.x
    return slice(y, y + part.height), slice(x, x + part.width)
