"""What is foreseen of a column, and the blocks that are read for it, counted by geometry."""

from itertools import product

import numpy as np
import pytest
import shapely

from embedder.area import Area
from embedder.grid import BLOCK_PIXELS, TILE_PIXELS, Bounds, Chip, Tile, chips_in_column, column_chips
from embedder.source.footprint import blocks_touched, corners_to_read, foreseen
from embedder.source.inventory import Inventory, TileFile
from embedder.steps.embed import MOST_SHORT, adjacent

SIZES = pytest.mark.parametrize("size", [512, 256])


def every_tile() -> Inventory:
    return {Tile(row=row, column=column): TileFile(etag="x", size=1) for row, column in product(range(26), range(58))}


@SIZES
def test_outside_goes_before_no_tile(size: int) -> None:
    inventory = every_tile()
    del inventory[Tile(row=1, column=0)]
    area = Area.of_chips({0: range(10, 200)}, size)
    letters = foreseen(inventory, 0, size, area)
    across = 512 // size
    assert len(letters) == chips_in_column(size)
    assert set(foreseen(inventory, 1, size, area)) == {"o"}
    missing = range(12_000 // size, -(-24_000 // size))  # rows that touch the second row of tiles
    for chip, letter in zip(column_chips(0, size), letters, strict=True):
        belongs = chip.column == 0 and 10 <= chip.row < 200
        assert letter == ("o" if not belongs else "t" if chip.row in missing else "e")
    assert foreseen(inventory, 0, size).count("t") == across * len(missing)


def blocks_by_geometry(chips: list[Chip]) -> int:
    """How many blocks of the tiles' files the chips overlap, by shapely."""
    windows = [chip.window for chip in chips]
    squares = [shapely.box(each.x, each.y, each.x + each.width, each.y + each.height) for each in windows]
    edges = [tile * TILE_PIXELS + block * BLOCK_PIXELS for tile in range(59) for block in range(12)]
    spans = [(first, min(first + BLOCK_PIXELS, -(-(first + 1) // TILE_PIXELS) * TILE_PIXELS)) for first in edges]
    xs, ys = (
        [span for span in spans if span[1] > min(low) and span[0] < max(low) + 512]
        for low in ([each.x for each in windows], [each.y for each in windows])
    )
    blocks = [shapely.box(west, north, east, south) for (west, east), (north, south) in product(xs, ys)]
    return int((shapely.area(shapely.intersection(blocks, shapely.union_all(squares))) > 0).sum())


def blocks_read(area: Area, groups: list[list[int]]) -> int:
    """In groups of columns, each of which reads a block once."""
    size, inventory = area.chip_pixels, every_tile()
    corners = [[corners_to_read(foreseen(inventory, column, size, area), column, size) for column in group] for group in groups]
    return sum(len(blocks_touched(np.concatenate(group), size)[0]) for group in corners)


def chips_in(area: Area) -> list[Chip]:
    return [Chip(column=column, row=row, pixels=area.chip_pixels) for column, runs in area.rows.items() for run in runs for row in run]


@SIZES
@pytest.mark.parametrize(
    "area",
    [{74: range(300, 309)}, {23: [22, 23], 24: [23]}, {0: [0], 40: [0], 41: [70]}, {375: [100, 101, 103], 376: [101, 109]}],
    ids=["a part of a column", "over tiles", "with gaps", "in pieces"],
)
def test_the_blocks_read_are_those_that_the_areas_chips_overlap(area: dict[int, list[int]], size: int) -> None:
    chosen = Area.of_chips(area, size)
    assert blocks_read(chosen, [chosen.columns]) == blocks_by_geometry(chips_in(chosen))


def test_a_degrees_blocks_are_read_once_where_pairs_of_columns_would_read_them_twice() -> None:
    area = Area.of_box(Bounds(west=-122, south=36, east=-121, north=37), 512)
    once = blocks_by_geometry(chips_in(area))
    assert blocks_read(area, list(adjacent(area.columns, MOST_SHORT, aligned=True))) == once
    assert blocks_read(area, list(adjacent(area.columns, 2))) > 1.7 * once


def test_groups_end_where_blocks_do() -> None:
    """Column 375 begins with the tile W109, as blocks do at each second column of it; in the tile before none does."""
    assert list(adjacent(range(1, 8), 2, aligned=True)) == [[1], [2, 3], [4, 5], [6, 7]]
    assert list(adjacent(range(1, 8), 2)) == [[1, 2], [3, 4], [5, 6], [7]]
    assert list(adjacent(range(372, 381), 4, aligned=True)) == [[372, 373, 374], [375, 376, 377, 378], [379, 380]]
    assert list(adjacent([30, 31, 32, 40], 2, aligned=True)) == [[30, 31], [32], [40]]
    for first, most in product(range(0, 60, 7), range(1, 6)):
        groups = list(adjacent(range(first, 400), most, aligned=True))
        assert [column for group in groups for column in group] == list(range(first, 400))
        assert max(map(len, groups)) <= most
    area = Area.of_chips(dict.fromkeys(range(1, 9), range(2)), 512)
    assert blocks_read(area, list(adjacent(area.columns, 2, aligned=True))) == 5  # those of W125 in which columns 1 to 8 lie
    assert blocks_read(area, list(adjacent(area.columns, 2))) == 8
