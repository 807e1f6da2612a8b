"""An area of interest, as pure maths: the chips that it overlaps, packed as a text that pods can be given.

A chip belongs to an area that overlaps it with more than an edge, so that neighbouring areas share no chip along their common edge.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Self

from embedder.errors import UsageError
from embedder.grid import (
    COLUMN_COUNT,
    COLUMN_PIXELS,
    HEIGHT_PIXELS,
    NORTH,
    TILE_PIXELS,
    WEST,
    Bounds,
    Window,
    bounds_of,
    format_columns,
)

GRID = bounds_of(Window(x=0, y=0, width=COLUMN_COUNT * COLUMN_PIXELS, height=HEIGHT_PIXELS))
"""What the columns cover, degrees."""
GRID_TEXT = f"the grid goes from {GRID.west:g} to {GRID.east:g} east and {GRID.south:g} to {GRID.north:g} north"
EDGE_PIXELS = 1e-6
"""What overlaps by less has an edge in common: a box in degrees is exact to some 1e-10 pixels."""
MOST_BYTES = 64_000
"""Of an area's text: Linux gives a process 128 KiB in one variable of its environment, and Argo's objects in etcd are as small."""
PACKED = re.compile(r"\d+;[\d:;,-]*", re.ASCII)
"""What an area's text looks like, and hardly a file's name."""
CHIP_PIXELS = (512, 256)
"""Widths of chips that there are."""


@dataclass(frozen=True, kw_only=True)
class Area:
    """Chips of one size, at least one. ValueError where there are none, or they pack into more than MOST_BYTES."""

    chip_pixels: int
    """Width and height of its chips, pixels."""
    rows: Mapping[int, tuple[range, ...]]
    """Of each column of chips that has any, from the west: runs of rows, from the north, with gaps between them."""

    def __post_init__(self) -> None:
        if not self.rows:
            raise ValueError("it overlaps no chip of the grid with more than an edge")
        if len(str(self)) > MOST_BYTES:
            raise ValueError(
                f"it packs into {len(str(self)):,} bytes of rows of chips, and pods take {MOST_BYTES:,}: simplify it, "
                "as GeoPandas' buffer(0.02).simplify(0.02) does in degrees, or give the box around it"
            )

    @classmethod
    def of_chips(cls, chips: Mapping[int, Iterable[int]], chip_pixels: int) -> Self:
        """The area of these rows of chips, in any order, by column of chips; all must lie on the grid."""
        return cls(chip_pixels=chip_pixels, rows={column: runs for column in sorted(chips) if (runs := _runs(chips[column]))})

    @classmethod
    def of_box(cls, box: Bounds, chip_pixels: int) -> Self:
        """The chips that a box overlaps; what lies beyond the grid is left out."""
        columns, rows = chips_across(box, chip_pixels)
        return cls.of_chips(dict.fromkeys(columns, rows), chip_pixels)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The area of a text such as `512;1155-1158:286-288,300;1159:286`; ValueError says what is wrong with it."""
        size, *parts = text.strip().split(";")
        if not PACKED.fullmatch(text.strip()) or int(size) not in CHIP_PIXELS:
            raise ValueError(f"{text[:40]!r} is no packed area: write it like 512;1155-1158:286-288,300;1159:286")
        chip_pixels = int(size)
        wide, high = _chips_of_grid(chip_pixels)
        chips: dict[int, set[int]] = {}
        for part in parts:
            columns, _, rows = part.partition(":")
            chosen = {row for run in rows.split(",") for row in _range(run, high, "row")}
            for column in _range(columns, wide, "column"):
                chips.setdefault(column, set()).update(chosen)
        return cls.of_chips(chips, chip_pixels)

    @cached_property
    def _text(self) -> str:
        parts: list[str] = []
        for rows, group in groupby(self.rows.items(), key=lambda item: item[1]):
            text = ",".join(_dash(run) for run in rows)
            parts += [f"{_dash(columns)}:{text}" for columns in _runs(column for column, _ in group)]
        return ";".join([str(self.chip_pixels), *parts])

    def __str__(self) -> str:
        """The packed text, the same for the same chips: neighbouring columns with the same rows are joined, and a run has both its ends."""
        return self._text

    @property
    def columns(self) -> list[int]:
        """The columns of the grid that have a chip in it."""
        return sorted({column * self.chip_pixels // COLUMN_PIXELS for column in self.rows})

    @property
    def chips(self) -> int:
        """How many there are."""
        return sum(len(run) for runs in self.rows.values() for run in runs)

    @property
    def bounds(self) -> Bounds:
        """The box around its chips, degrees."""
        size, columns = self.chip_pixels, list(self.rows)
        north, south = min(runs[0].start for runs in self.rows.values()), max(runs[-1].stop for runs in self.rows.values())
        width = columns[-1] + 1 - columns[0]
        return bounds_of(Window(x=columns[0] * size, y=north * size, width=width * size, height=(south - north) * size))

    def has(self, column: int) -> list[bool]:
        """For each chip of a column of the grid, in the order of `column_chips`, whether it belongs."""
        across = COLUMN_PIXELS // self.chip_pixels
        beside = [{row for run in self.rows.get(column * across + offset, ()) for row in run} for offset in range(across)]
        return [row in rows for row in range(HEIGHT_PIXELS // self.chip_pixels) for rows in beside]

    def describe(self) -> str:
        """In a few words, whatever its size."""
        box = ",".join(f"{side:.5g}" for side in (self.bounds.west, self.bounds.south, self.bounds.east, self.bounds.north))
        return f"{self.chips} chips of {self.chip_pixels} pixels in {len(self.columns)} columns, within {box}"


def within(area: Area | None, columns: Sequence[int]) -> list[int]:
    """Those of the columns that exist where a run has this area, if any; UsageError where none does."""
    if area is None:
        return list(columns)
    there = set(area.columns)
    if left := [column for column in columns if column in there]:
        return left
    raise UsageError(f"--columns {format_columns(columns)} are outside the area, which has {format_columns(there)}: give others, or none")


def chips_across(box: Bounds, chip_pixels: int) -> tuple[range, range]:
    """Columns and rows of the chips that a box overlaps with more than an edge; empty ones off the grid."""
    wide, high = _chips_of_grid(chip_pixels)
    scale = TILE_PIXELS / chip_pixels
    return (
        _between((box.west - WEST) * scale, (box.east - WEST) * scale, EDGE_PIXELS / chip_pixels, wide),
        _between((NORTH - box.north) * scale, (NORTH - box.south) * scale, EDGE_PIXELS / chip_pixels, high),
    )


def parse_box(text: str) -> Bounds:
    """A box written west,south,east,north, degrees; UsageError where it is none, or off the grid."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{text[:80]!r} is not a box: write west,south,east,north in degrees, such as -122,36.6,-121.7,36.8") from None
    box = Bounds(west=west, south=south, east=east, north=north)
    name = f"box {text[:80]!r}"
    if not all(map(math.isfinite, (west, south, east, north))) or west == east or south == north:
        raise UsageError(f"{name} is empty: west must be less than east, and south less than north")
    if _is_on_grid(swapped := Bounds(west=south, south=west, east=north, north=east)) and not _is_on_grid(box):
        right = ",".join(f"{side:g}" for side in (swapped.west, swapped.south, swapped.east, swapped.north))
        raise UsageError(f"{name} has latitude before longitude: write {right}")
    if west > east or south > north:
        raise UsageError(f"{name} is inverted: west must be less than east, and south less than north")
    if not -90 <= south < north <= 90:  # noqa: PLR2004 - the poles
        raise UsageError(f"{name} has no latitudes for south and north: write west,south,east,north, such as -122,36.6,-121.7,36.8")
    if not _is_on_grid(box):
        raise UsageError(f"{name} is off the grid: {GRID_TEXT}")
    return box


def _is_on_grid(box: Bounds) -> bool:
    """Whether a part of it is."""
    west, east = max(box.west, GRID.west), min(box.east, GRID.east)
    return west < east and max(box.south, GRID.south) < min(box.north, GRID.north)


def _chips_of_grid(chip_pixels: int) -> tuple[int, int]:
    """Columns and rows of chips."""
    return COLUMN_COUNT * COLUMN_PIXELS // chip_pixels, HEIGHT_PIXELS // chip_pixels


def _between(start: float, stop: float, edge: float, most: int) -> range:
    """The chips along one axis that [start, stop] overlaps by more than `edge`; all in chips."""
    return range(max(math.floor(start + edge), 0), min(math.ceil(stop - edge), most))


def _runs(numbers: Iterable[int]) -> tuple[range, ...]:
    """The numbers as runs of neighbours, ascending."""
    ordered = enumerate(sorted(set(numbers)))
    runs = (list(group) for _, group in groupby(ordered, key=lambda pair: pair[1] - pair[0]))
    return tuple(range(run[0][1], run[-1][1] + 1) for run in runs)


def _dash(run: range) -> str:
    return str(run.start) if len(run) == 1 else f"{run.start}-{run.stop - 1}"


def _range(text: str, most: int, what: str) -> range:
    """The numbers of `286-288`, or of `300` alone."""
    match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", text, re.ASCII)
    if not match or not int(match[1]) <= (last := int(match[2] or match[1])) < most:
        raise ValueError(f"{text[:40]!r} are no {what}s of its chips: write numbers or runs from 0 to {most - 1}, such as 286-288")
    return range(int(match[1]), last + 1)
