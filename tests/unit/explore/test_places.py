import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.errors import UsageError
from embedder.explore.places import GRID, chip_at, pack_chips, parse_box, parse_chip, parse_chips
from embedder.grid import COLUMN_COUNT, COLUMN_PIXELS, HEIGHT_PIXELS, Chip

SIZES = st.sampled_from([256, 512])


@given(st.floats(GRID.west, GRID.east, exclude_max=True), st.floats(GRID.south, GRID.north, exclude_min=True), SIZES)
def test_a_chip_covers_the_place_that_it_was_found_by(lon: float, lat: float, pixels: int) -> None:
    chip = chip_at(lon, lat, pixels)
    bounds = chip.bounds
    assert bounds.west - 1e-9 <= lon <= bounds.east + 1e-9
    assert bounds.south - 1e-9 <= lat <= bounds.north + 1e-9
    assert parse_chip(chip.id, pixels) == chip


@pytest.mark.parametrize("place", [(-125.1, 40), (-67, 40), (-100, 50.1), (-100, 24.9), (math.nan, 40), (-100, math.inf)])
def test_a_place_off_the_grid_is_refused(place: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="off the grid: the grid goes from -125"):
        chip_at(*place, 512)


@pytest.mark.parametrize(
    "text", ["", "c1r2", "c1155r0287 ", "../../etc/passwd", "c\u0660\u0660\u0660\u0661r0001", "c1359r0000", "c0000r0586", "x" * 9_999]
)
def test_what_is_no_chip_id_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_chip(text, 512)
    assert len(str(caught.value)) < 200


def test_smaller_chips_have_more_rows_and_columns() -> None:
    assert parse_chip("c2717r1171", 256) == Chip(column=2717, row=1171, pixels=256)


@given(st.data(), SIZES)
def test_a_pack_holds_chips_in_four_characters_each(data: st.DataObject, pixels: int) -> None:
    columns, rows = COLUMN_COUNT * COLUMN_PIXELS // pixels, HEIGHT_PIXELS // pixels
    places = data.draw(st.lists(st.tuples(st.integers(0, columns - 1), st.integers(0, rows - 1)), max_size=40))
    chips = [Chip(column=column, row=row, pixels=pixels) for column, row in places]
    text = pack_chips(chips)
    assert len(text) == 1 + 4 * len(chips)
    assert parse_chips([text], pixels) == chips
    assert parse_chips(["c0003r0004", text], pixels)[1:] == chips


@pytest.mark.parametrize("text", ["~AAA", "~AAA=", "~AA A", "~____", "~AAAA____", "~\u0660AAA", "~" + "A" * 9_999, "~~AAAA", "~AAAA\n"])
def test_what_is_no_pack_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_chips([text], 512)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "a,b,c,d", "-122,36,-121,nan", "-121,36,-122,37", "-122,37,-121,36", "0,0,1,1", "-122,36,-121,37,38", "inf,0,1,2"]
)
def test_what_is_no_box_of_the_grid_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_box(text)
