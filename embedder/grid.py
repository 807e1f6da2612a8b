"""The grid, as pure maths: tiles of one degree, columns 512 pixels wide, and the chips that fill them.

Pixels are those of the whole source, counted from its north-west corner at 125 W, 50 N: x to the east, y to the south,
1/12000 degree each. All ranges are half-open. Facts: Clay-foundation/model, scripts/worldcover/run.py at 472c92f.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

WEST = -125
"""Longitude of the grid's west edge, degrees."""
NORTH = 50
"""Latitude of the grid's north edge, degrees."""
TILE_PIXELS = 12_000
"""Width and height of a tile, pixels: one degree."""
BLOCK_PIXELS = 1_024
"""Width and height of a tile's internal block, pixels."""
BLOCKS_ACROSS = -(-TILE_PIXELS // BLOCK_PIXELS)
"""Blocks of a tile from west to east, and as many down; the last is cut short."""
TILES_WIDE = 58
"""Tiles from west to east: W125 to W068."""
COLUMN_PIXELS = 512
"""Width of a column, pixels."""
COLUMN_COUNT = TILES_WIDE * TILE_PIXELS // COLUMN_PIXELS
"""Columns, west to east: 1359; the 192 pixels left over in the east are not covered."""
HEIGHT_PIXELS = 586 * COLUMN_PIXELS
"""Height of a column, pixels: 586 chips of 512, the last of which reaches into the tiles of N24."""
TILES_HIGH = -(-HEIGHT_PIXELS // TILE_PIXELS)
"""Tiles from north to south: N49 to N24."""
VERSIONS = {2020: "v100", 2021: "v200"}
"""The composites that exist: year and processing version."""


@dataclass(frozen=True, kw_only=True, order=True)
class Window:
    """A rectangle of pixels: [x, x + width) by [y, y + height)."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """A box in degrees, EPSG:4326."""

    west: float
    south: float
    east: float
    north: float

    @property
    def center(self) -> tuple[float, float]:
        """(longitude, latitude) of the middle, degrees."""
        return (self.west + self.east) / 2, (self.south + self.north) / 2


@dataclass(frozen=True, kw_only=True, order=True)
class Tile:
    """One degree of the source, counted from the grid's north-west corner."""

    row: int
    column: int

    @property
    def name(self) -> str:
        """The south-west corner, as the source names it: N49W125."""
        return f"N{NORTH - 1 - self.row:02d}W{-WEST - self.column:03d}"

    @property
    def window(self) -> Window:
        """The tile's pixels in the grid."""
        return Window(x=self.column * TILE_PIXELS, y=self.row * TILE_PIXELS, width=TILE_PIXELS, height=TILE_PIXELS)

    @classmethod
    def from_name(cls, name: str) -> "Tile":
        """The tile called `name`; ValueError where the name is none of this grid's."""
        match = re.fullmatch(r"N(\d{2})W(\d{3})", name, re.ASCII)
        tile = match and cls(row=NORTH - 1 - int(match[1]), column=-WEST - int(match[2]))
        if not tile or not (0 <= tile.row < TILES_HIGH and 0 <= tile.column < TILES_WIDE):
            raise ValueError(f"{name!r} is not a tile of the grid (N49W125 to N24W068)")
        return tile

    def key(self, year: int) -> str:
        """Where the source keeps this tile, relative to its root."""
        north = self.name[:3]
        return f"rgbnir/{year}/{north}/ESA_WorldCover_10m_{year}_{VERSIONS[year]}_{self.name}_S2RGBNIR.tif"


@dataclass(frozen=True, kw_only=True)
class Chip:
    """The square that gets one embedding. Rows and columns are counted in chips of this size."""

    row: int
    column: int
    pixels: int
    """Width and height, pixels: 512 or 256."""

    @property
    def id(self) -> str:
        """Name in every file: c1155r0287."""
        return f"c{self.column:04d}r{self.row:04d}"

    @property
    def window(self) -> Window:
        """The chip's pixels in the grid."""
        return Window(x=self.column * self.pixels, y=self.row * self.pixels, width=self.pixels, height=self.pixels)

    @property
    def bounds(self) -> Bounds:
        """The chip's box in degrees."""
        return bounds_of(self.window)


def bounds_of(window: Window) -> Bounds:
    """The box of a pixel window, degrees."""
    return Bounds(
        west=WEST + window.x / TILE_PIXELS,
        south=NORTH - (window.y + window.height) / TILE_PIXELS,
        east=WEST + (window.x + window.width) / TILE_PIXELS,
        north=NORTH - window.y / TILE_PIXELS,
    )


def column_window(column: int) -> Window:
    """The pixels of a column, its whole height; ValueError where there is no such column."""
    if not 0 <= column < COLUMN_COUNT:
        raise ValueError(f"column {column} does not exist: columns are 0 to {COLUMN_COUNT - 1}")
    return Window(x=column * COLUMN_PIXELS, y=0, width=COLUMN_PIXELS, height=HEIGHT_PIXELS)


@lru_cache(maxsize=32)  # a column is read, written and checked within a short time
def column_chips(column: int, chip_pixels: int) -> tuple[Chip, ...]:
    """The chips of a column, north to south, then west to east."""
    first, across = column * COLUMN_PIXELS // chip_pixels, COLUMN_PIXELS // chip_pixels
    return tuple(
        Chip(row=row, column=first + offset, pixels=chip_pixels) for row in range(HEIGHT_PIXELS // chip_pixels) for offset in range(across)
    )


def chips_in_column(chip_pixels: int) -> int:
    """How many chips a column has: 586 of 512 pixels, 2344 of 256."""
    return HEIGHT_PIXELS // chip_pixels * (COLUMN_PIXELS // chip_pixels)


def tile_windows(window: Window) -> dict[Tile, Window]:
    """The tiles that a pixel window touches, each with its part of the window in the tile's own pixels."""
    parts = {}
    for row in range(window.y // TILE_PIXELS, -(-(window.y + window.height) // TILE_PIXELS)):
        for column in range(window.x // TILE_PIXELS, -(-(window.x + window.width) // TILE_PIXELS)):
            tile = Tile(row=row, column=column)
            origin = tile.window
            x, y = max(window.x, origin.x), max(window.y, origin.y)
            parts[tile] = Window(
                x=x - origin.x,
                y=y - origin.y,
                width=min(window.x + window.width, origin.x + TILE_PIXELS) - x,
                height=min(window.y + window.height, origin.y + TILE_PIXELS) - y,
            )
    return parts


def parse_columns(text: str) -> list[int]:
    """Columns from `all` or a list of numbers and ranges, `1155-1158,17`: sorted, each once; ValueError names what is wrong."""
    if text.strip() == "all":
        return list(range(COLUMN_COUNT))
    columns: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})\s*(?:-\s*(\d{1,18})\s*)?", part, re.ASCII)
        if not match:
            raise ValueError(f"{part[:40]!r} is not a column: write 'all', or numbers and ranges such as 1155-1158,17")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise ValueError(f"{part.strip()!r} counts backwards: write {last}-{first}")
        column_window(last)
        columns.update(range(first, last + 1))
    return sorted(columns)


def format_columns(columns: Iterable[int]) -> str:
    """The shortest text that `parse_columns` reads as these columns."""
    ranges: list[list[int]] = []
    for column in sorted(set(columns)):
        if ranges and column == ranges[-1][1] + 1:
            ranges[-1][1] = column
        else:
            ranges.append([column, column])
    text = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
    return "all" if text == f"0-{COLUMN_COUNT - 1}" else text
