"""Which chips an area has, against shapely; its text; and boxes as people write them."""

import re

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from embedder.area import GRID, MOST_BYTES, Area, parse_box, within
from embedder.area_file import area_of
from embedder.errors import UsageError
from embedder.grid import COLUMN_COUNT, COLUMN_PIXELS, HEIGHT_PIXELS, Bounds, Chip, column_chips

SIZES = st.sampled_from([512, 256])


@st.composite
def boxes(draw: st.DrawFn) -> Bounds:
    """At most a few chips wide, some with their edges on those of chips."""
    size = draw(SIZES)
    chip = Chip(column=draw(st.integers(0, 1358 * 512 // size)), row=draw(st.integers(0, 586 * 512 // size - 1)), pixels=size).bounds
    west, north = (draw(st.sampled_from([0, 0.5, -0.01])) for _ in range(2))
    width, height = (draw(st.sampled_from([0.25, 1, 2, 2.5])) for _ in range(2))
    step = chip.east - chip.west
    return Bounds(
        west=chip.west + west * step,
        east=chip.west + (west + width) * step,
        north=chip.north - north * step,
        south=chip.north - (north + height) * step,
    )


@settings(max_examples=40)
@given(boxes(), SIZES)
def test_a_box_has_the_chips_that_it_overlaps_with_more_than_an_edge(box: Bounds, size: int) -> None:
    step = size / 12_000
    columns, rows = (
        range(max(int(first / step) - 2, 0), min(int(last / step) + 3, most))
        for first, last, most in (
            (box.west + 125, box.east + 125, COLUMN_COUNT * COLUMN_PIXELS // size),
            (50 - box.north, 50 - box.south, HEIGHT_PIXELS // size),
        )
    )
    near = [Chip(column=column, row=row, pixels=size) for column in columns for row in rows]
    sides = np.array([(chip.bounds.west, chip.bounds.south, chip.bounds.east, chip.bounds.north) for chip in near]).reshape(-1, 4)
    overlap = shapely.area(shapely.intersection(shapely.box(box.west, box.south, box.east, box.north), shapely.box(*sides.T)))
    expected = {(chip.column, chip.row) for chip, part in zip(near, overlap, strict=True) if part > 1e-9}  # an edge's is some 1e-15
    if not expected:
        with pytest.raises(ValueError, match="overlaps no chip"):
            Area.of_box(box, size)
        return
    area = Area.of_box(box, size)
    assert {(column, row) for column, runs in area.rows.items() for run in runs for row in run} == expected
    assert area.columns == sorted({column * size // COLUMN_PIXELS for column, _ in expected})
    assert [chip.id for column in area.columns for chip, has in zip(column_chips(column, size), area.has(column), strict=True) if has] == [
        chip.id for column in area.columns for chip in column_chips(column, size) if (chip.column, chip.row) in expected
    ]
    assert Area.parse(str(area)) == area


def chips_of(size: int) -> st.SearchStrategy[dict[int, set[int]]]:
    wide, high = COLUMN_COUNT * COLUMN_PIXELS // size, HEIGHT_PIXELS // size
    return st.dictionaries(st.integers(0, wide - 1), st.sets(st.integers(0, high - 1), min_size=1), min_size=1, max_size=9)


@settings(max_examples=40)
@given(st.data(), SIZES)
def test_the_text_says_the_same_chips(data: st.DataObject, size: int) -> None:
    chips = data.draw(chips_of(size))
    area = Area.of_chips(chips, size)
    assert Area.parse(str(area)) == area
    assert {column: {row for run in runs for row in run} for column, runs in area.rows.items()} == chips
    assert sum(map(sum, map(area.has, area.columns))) == sum(map(len, chips.values())) == area.chips


def test_the_text_is_short_and_the_same_whatever_the_order() -> None:
    rows = {column: [300, 288, 286, 287] for column in (1157, 1155, 1156, 1158)} | {1159: [286], 1161: [286]}
    text = "512;1155-1158:286-288,300;1159:286;1161:286"
    assert str(Area.of_chips(rows, 512)) == text
    assert str(Area.parse(" 512;1161:286;1156-1158:300;1155-1159:286;1155-1158:287-288;1155:300\n")) == text
    assert Area.parse("512;0-1358:0-585").bounds == GRID
    assert len(Area.parse("256;0-2717:0-1171").columns) == COLUMN_COUNT


@pytest.mark.parametrize(
    "text",
    [
        "512",
        "512;",
        "128;1:1",
        "512;1359:0",
        "512;1:586",
        "512;3-1:1",
        "512;1",
        "512;1:",
        "512;1:1,",
        "512;a:1",
        "512;1:1-9999999",
        "512;1:²",
    ],
)
def test_what_is_no_area_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|overlaps no chip"):
        Area.parse(text)


def test_an_area_that_pods_can_not_be_given_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=re.escape(f"pods take {MOST_BYTES:,}: simplify it")):
        Area.of_chips({column: range(column % 2, 586, 2) for column in range(60)}, 512)


def test_columns_are_those_of_the_area_too() -> None:
    area = Area.parse("512;74-75:309;78:1")
    assert within(area, range(75, 90)) == [75, 78]
    assert within(None, [3, 4]) == [3, 4]
    with pytest.raises(UsageError, match="--columns 76-77 are outside the area, which has 74-75,78"):
        within(area, [76, 77])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-122,36.6,-122,36.8", "is empty: west must be less than east"),
        ("-121,36.6,-122,36.8", "is inverted: west must be less than east"),
        ("-122,36.8,-121,36.6", "is inverted"),
        ("36.6,-122,36.8,-121.7", "has latitude before longitude: write -122,36.6,-121.7,36.8"),
        ("-122,-121.7,36.6,36.8", "has no latitudes"),
        ("5,36,6,37", "is off the grid: the grid goes from -125 to"),
        ("nan,36,-121,37", "is empty"),
        ("-122,36.6,-121", "is not a box: write west,south,east,north"),
        ("", "is not a box"),
    ],
)
def test_a_box_that_can_not_be_meant_is_refused_with_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        area_of(text, None, 512)


def test_a_box_thinner_than_an_edge_has_no_chip() -> None:
    edge = Chip(row=0, column=9, pixels=512).bounds.west
    with pytest.raises(UsageError, match="overlaps no chip"):
        area_of(f"{edge - 1e-12!r},40,{edge + 1e-12!r},41", None, 512)


def test_an_option_is_a_box_or_a_packed_text_for_chips_of_the_recipes_size() -> None:
    assert area_of("-122,36.6,-121.7,36.8", None, 256) == Area.of_box(parse_box("-122,36.6,-121.7,36.8"), 256)
    assert area_of(None, "512;74:309", 512) == Area.parse("512;74:309")
    assert area_of(None, None, 512) is None
    for bbox, area, said in (
        ("-122,36,-121,37", "512;1:1", "give one of them"),
        (None, "", "--area is empty: give a file"),
        (None, "512;74:309", "chips of 512 pixels, this recipe has 256"),
        (None, "512;1:900", "are no rows of its chips"),
    ):
        with pytest.raises(UsageError, match=said):
            area_of(bbox, area, 256)
