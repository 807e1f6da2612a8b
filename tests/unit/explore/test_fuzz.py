"""Places and boxes as people may type them."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedder.explore.places import GRID, chip_at, parse_box, parse_chip, parse_chips
from embedder.explore.web.class_maps import LONGEST_NAME, parse_marks
from tests.mutations import ODD_TEXT, fuzzed, right_or_refused

PIXELS = st.sampled_from([256, 512])
NUMBERS = st.one_of(
    st.floats(),
    st.sampled_from([GRID.west, GRID.east, GRID.south, GRID.north, float(np.nextafter(GRID.east, 0)), float(np.nextafter(GRID.south, 90))]),
    st.floats(GRID.west, GRID.east),
    st.floats(GRID.south, GRID.north),
)


@fuzzed(200)
@given(st.one_of(ODD_TEXT, st.from_regex(r"c[0-9]{4}r[0-9]{4}\n?", fullmatch=True)), PIXELS)
def test_a_chip_is_right_or_refused_whatever_is_typed(text: str, pixels: int) -> None:
    chip = right_or_refused(lambda: parse_chip(text, pixels))
    assert chip is None or chip.id == text


@fuzzed(200)
@given(st.lists(st.one_of(ODD_TEXT, st.from_regex(r"~[A-Za-z0-9_-]{0,12}\n?", fullmatch=True)), max_size=3), PIXELS)
def test_packs_are_right_or_refused_whatever_is_typed(texts: list[str], pixels: int) -> None:
    chips = right_or_refused(lambda: parse_chips(texts, pixels))
    assert chips is None or parse_chips([chip.id for chip in chips], pixels) == chips


@fuzzed(200)
@given(st.lists(st.tuples(ODD_TEXT, st.from_regex(r"~[A-D]{0,8}\n?", fullmatch=True)).map("".join), min_size=1, max_size=4), PIXELS)
def test_marks_are_right_or_refused_whatever_is_typed(marks: list[str], pixels: int) -> None:
    labels = right_or_refused(lambda: parse_marks(marks, pixels))
    if labels:
        assert sorted(mark.rpartition("~")[0] for mark in marks) == list(labels.classes)
        assert all(0 < len(name) <= LONGEST_NAME and "\n" not in name for name in labels.classes)


@fuzzed(300)
@given(NUMBERS, NUMBERS, PIXELS)
def test_a_place_is_in_its_chip_or_refused(lon: float, lat: float, pixels: int) -> None:
    chip = right_or_refused(lambda: chip_at(lon, lat, pixels))
    if chip:
        assert parse_chip(chip.id, pixels) == chip
        assert chip.bounds.west - 1e-9 <= lon <= chip.bounds.east + 1e-9
        assert chip.bounds.south - 1e-9 <= lat <= chip.bounds.north + 1e-9


@fuzzed(300)
@given(st.one_of(ODD_TEXT, st.lists(st.one_of(NUMBERS.map(str), ODD_TEXT, st.just("\n1")), min_size=4, max_size=4).map(",".join)))
def test_a_box_is_right_or_refused_whatever_is_typed(text: str) -> None:
    bounds = right_or_refused(lambda: parse_box(text))
    if bounds:
        assert all(math.isfinite(value) for value in vars(bounds).values())
        assert bounds.west < bounds.east
        assert bounds.south < bounds.north
