import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin
from rasterio.windows import Window as RasterWindow
from rasterio.windows import bounds as rasterio_bounds

from embedder.grid import (
    COLUMN_COUNT,
    HEIGHT_PIXELS,
    TILE_PIXELS,
    Chip,
    Tile,
    Window,
    bounds_of,
    chips_in_column,
    column_chips,
    column_window,
    format_columns,
    parse_columns,
    tile_windows,
)

GRID = from_origin(-125, 50, 1 / 12_000, 1 / 12_000)
columns = st.integers(0, COLUMN_COUNT - 1)
chip_sizes = st.sampled_from([512, 256])


@st.composite
def windows(draw: st.DrawFn) -> Window:
    width, height = draw(st.integers(1, 3_000)), draw(st.integers(1, 14_000))
    return Window(
        x=draw(st.integers(0, COLUMN_COUNT * 512 - width)), y=draw(st.integers(0, HEIGHT_PIXELS - height)), width=width, height=height
    )


def test_grid_has_the_published_size() -> None:
    assert COLUMN_COUNT == 1359
    assert len(list(column_chips(0, 512))) == chips_in_column(512) == 586
    assert len(list(column_chips(0, 256))) == chips_in_column(256) == 1172 * 2
    last = list(tile_windows(Chip(row=585, column=0, pixels=512).window))
    assert [tile.name for tile in last] == ["N25W125", "N24W125"]


@given(columns, chip_sizes)
def test_chips_tile_the_column_without_gap_or_overlap(column: int, size: int) -> None:
    strip = column_window(column)
    origins = [(chip.window.x, chip.window.y) for chip in column_chips(column, size)]
    # every cell of the lattice that starts at the strip's corner, each once, north to south, then west to east
    assert origins == [(x, y) for y in range(0, strip.height, size) for x in range(strip.x, strip.x + strip.width, size)]
    assert strip.height % size == strip.width % size == 0
    assert {(chip.window.width, chip.window.height) for chip in column_chips(column, size)} == {(size, size)}


@given(columns)
def test_neighbouring_columns_touch_without_overlap(column: int) -> None:
    window = column_window(column)
    assert window.x == 512 * column
    assert window.x + window.width == 512 * (column + 1)


@given(windows(), st.data())
def test_each_pixel_of_a_window_lies_in_one_tile_at_the_right_offset(window: Window, data: st.DataObject) -> None:
    parts = tile_windows(window)
    assert sum(part.width * part.height for part in parts.values()) == window.width * window.height
    x = data.draw(st.integers(window.x, window.x + window.width - 1))
    y = data.draw(st.integers(window.y, window.y + window.height - 1))
    longitude, latitude = GRID * (x + 0.5, y + 0.5)
    name = f"N{math.floor(latitude):02d}W{-math.floor(longitude):03d}"
    holding = {
        tile.name: (tile.window.x, tile.window.y)
        for tile, part in parts.items()
        if part.x <= x - tile.window.x < part.x + part.width and part.y <= y - tile.window.y < part.y + part.height
    }
    assert holding == {name: (x // TILE_PIXELS * TILE_PIXELS, y // TILE_PIXELS * TILE_PIXELS)}


@given(windows())
def test_bounds_agree_with_rasterio(window: Window) -> None:
    bounds = bounds_of(window)
    expected = rasterio_bounds(RasterWindow(window.x, window.y, window.width, window.height), GRID)
    assert (bounds.west, bounds.south, bounds.east, bounds.north) == pytest.approx(expected, abs=1e-9)


@given(columns, chip_sizes)
def test_a_chip_touches_at_most_four_tiles(column: int, size: int) -> None:
    assert max(len(tile_windows(chip.window)) for chip in column_chips(column, size)) <= 4


def test_a_chip_touches_four_tiles_at_a_tile_corner() -> None:
    chip = Chip(row=23, column=23, pixels=512)  # pixels 11776 to 12288 both ways
    assert {tile.name: (part.x, part.y, part.width, part.height) for tile, part in tile_windows(chip.window).items()} == {
        "N49W125": (11776, 11776, 224, 224),
        "N49W124": (0, 11776, 288, 224),
        "N48W125": (11776, 0, 224, 288),
        "N48W124": (0, 0, 288, 288),
    }


def test_ids_count_in_chips_of_their_size() -> None:
    assert [chip.id for chip in column_chips(1155, 512)][287] == "c1155r0287"
    assert [chip.id for chip in column_chips(1155, 256)][574 * 2 : 574 * 2 + 2] == ["c2310r0574", "c2311r0574"]


@given(st.integers(0, 25), st.integers(0, 57))
def test_tile_names_lead_back_to_their_tile(row: int, column: int) -> None:
    tile = Tile(row=row, column=column)
    assert Tile.from_name(tile.name) == tile
    assert f"/{tile.name[:3]}/" in tile.key(2021)
    assert f"_2021_v200_{tile.name}_S2RGBNIR.tif" in tile.key(2021)


@pytest.mark.parametrize("name", ["N50W125", "N23W100", "N40W126", "N40W067", "S40W100", "N40E100", "n40w100", "N4W100"])
def test_from_name_refuses_what_is_not_of_the_grid(name: str) -> None:
    with pytest.raises(ValueError, match="not a tile of the grid"):
        Tile.from_name(name)


@given(st.sets(columns, min_size=1))
def test_columns_survive_formatting_and_parsing(chosen: set[int]) -> None:
    assert parse_columns(format_columns(chosen)) == sorted(chosen)


def test_columns_are_read_from_names_numbers_and_ranges() -> None:
    assert parse_columns("all") == list(range(1359))
    assert parse_columns("1155-1158, 17,17") == [17, 1155, 1156, 1157, 1158]
    assert format_columns(range(1359)) == "all"
    assert format_columns([3, 1, 2, 9]) == "1-3,9"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("5-3", "backwards"),
        ("1359", "does not exist"),
        ("0-1359", "does not exist"),
        ("", "not a column"),
        ("1,,2", "not a column"),
        ("-4", "not a column"),
        ("1.5", "not a column"),
        ("x", "not a column"),
    ],
)
def test_parse_columns_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_columns(text)
