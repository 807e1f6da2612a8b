"""Places as people write them: chip ids, longitude and latitude, boxes; and why a place has no embedding."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

import numpy as np

from embedder.area import GRID, GRID_TEXT, parse_box
from embedder.errors import NotFoundError, UsageError
from embedder.explore.vectors.database import Database
from embedder.grid import COLUMN_COUNT, COLUMN_PIXELS, HEIGHT_PIXELS, NORTH, TILE_PIXELS, WEST, Chip

__all__ = ["GRID", "GRID_TEXT", "chip_at", "nearest_to", "pack_chips", "parse_box", "parse_chip", "parse_chips", "position_of", "why_not"]

PACK = "~"
"""What a text with many chips begins with: four characters of base64url each, its column * rows of the grid + its row in three bytes."""
KEY_BYTES = 3


def parse_chip(text: str, pixels: int) -> Chip:
    """The chip called c1155r0287; UsageError where there is none of that name and size."""
    match = re.fullmatch(r"c(\d{4})r(\d{4})", text, re.ASCII)
    if not match:
        raise UsageError(f"{text[:40]!r} is not a chip id: write it like c1155r0287")
    chip = Chip(column=int(match[1]), row=int(match[2]), pixels=pixels)
    columns, rows = COLUMN_COUNT * COLUMN_PIXELS // pixels, HEIGHT_PIXELS // pixels
    if chip.column >= columns or chip.row >= rows:
        raise UsageError(f"chip {text} is off the grid: columns are c0000 to c{columns - 1:04d}, rows r0000 to r{rows - 1:04d}")
    return chip


def parse_chips(names: Sequence[str], pixels: int) -> list[Chip]:
    """Several, each an id or many in a pack; UsageError where one is neither."""
    return [chip for name in names for chip in (_unpack(name[1:], pixels) if name.startswith(PACK) else [parse_chip(name, pixels)])]


def pack_chips(chips: Sequence[Chip]) -> str:
    """Chips of one size as one text, which an address holds by the thousand."""
    keys = b"".join((chip.column * (HEIGHT_PIXELS // chip.pixels) + chip.row).to_bytes(KEY_BYTES) for chip in chips)
    return PACK + urlsafe_b64encode(keys).decode()


def _unpack(text: str, pixels: int) -> list[Chip]:
    if not re.fullmatch(r"([A-Za-z0-9_-]{4})*", text, re.ASCII):
        raise UsageError(f"{PACK}{text[:40]!r} is no pack of chips: write four characters of base64url for each, or ids like c1155r0287")
    raw = urlsafe_b64decode(text)
    columns, rows = COLUMN_COUNT * COLUMN_PIXELS // pixels, HEIGHT_PIXELS // pixels
    keys = [int.from_bytes(raw[start : start + KEY_BYTES]) for start in range(0, len(raw), KEY_BYTES)]
    if off := [index for index, key in enumerate(keys) if key >= columns * rows]:
        raise UsageError(f"chip {off[0] + 1} of a pack, {text[4 * off[0] : 4 * off[0] + 4]}, is off the grid of {pixels}-pixel chips")
    return [Chip(column=key // rows, row=key % rows, pixels=pixels) for key in keys]


def chip_at(lon: float, lat: float, pixels: int) -> Chip:
    """The chip that covers a place, degrees; UsageError off the grid."""
    if not (GRID.west <= lon < GRID.east and GRID.south < lat <= GRID.north):
        raise UsageError(f"longitude {lon:g}, latitude {lat:g} is off the grid: {GRID_TEXT}")
    return Chip(column=int((lon - WEST) * TILE_PIXELS // pixels), row=int((NORTH - lat) * TILE_PIXELS // pixels), pixels=pixels)


def why_not(database: Database, chip: Chip) -> str:
    """One sentence on why a chip has no embedding, with the nearest one that has."""
    across = COLUMN_PIXELS // chip.pixels
    column, index = chip.column // across, chip.row * across + chip.column % across
    reasons = {
        "n": "a pixel of it has no data",
        "o": "it is outside the area that was embedded",
        "t": "the source has no tile there: most likely sea, or beyond the border",
    }
    if column not in database.record.columns:
        reason = f"column {column} is not embedded yet"
    else:
        reason = reasons.get(database.outcome(chip, column, index) or "", "its column's file has none, and does not say why")
    nearest = nearest_to(database, chip)
    advice = f"the nearest embedded chip is {nearest.id}" if nearest else "nothing is embedded yet"
    return f"chip {chip.id} has no embedding in {database.year}: {reason}; {advice}"


def position_of(database: Database, chip: Chip) -> int:
    """The chip's row; NotFoundError, with the reason and the nearest embedded chip, where it has no embedding."""
    position = database.position(chip)
    if position is None:
        raise NotFoundError(why_not(database, chip))
    return position


def nearest_to(database: Database, chip: Chip) -> Chip | None:
    """The embedded chip that is fewest chips away."""
    if not database.count:
        return None
    away = database.chips.astype(np.int64) - [chip.column, chip.row]
    distances = np.where(database.live, (away**2).sum(axis=1), np.iinfo(np.int64).max)
    return database.chip(int(distances.argmin()))
