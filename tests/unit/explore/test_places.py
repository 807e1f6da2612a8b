import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.errors import UsageError
from embedder.explore.pictures.wms import Wms, mercator_box
from embedder.explore.places import GRID, chip_at, parse_box, parse_chip
from embedder.explore.search import UNLIKE_WEIGHT, combine, top
from embedder.explore.vectors.database import _run_lengths, _runs
from embedder.grid import Chip

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


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "a,b,c,d", "-122,36,-121,nan", "-121,36,-122,37", "-122,37,-121,36", "0,0,1,1", "-122,36,-121,37,38", "inf,0,1,2"]
)
def test_what_is_no_box_of_the_grid_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_box(text)


@given(st.lists(st.floats(-1, 1, width=32), max_size=40), st.integers(1, 50))
def test_top_is_the_head_of_a_stable_sort(scores: list[float], count: int) -> None:
    array = np.array(scores, np.float32)
    assert top(array, count).tolist() == np.argsort(-array, kind="stable")[:count].tolist()


def test_a_query_is_the_mean_of_the_likes_less_half_that_of_the_unlikes() -> None:
    like, unlike = np.eye(3, dtype=np.float32)[:2], np.eye(3, dtype=np.float32)[2:]
    expected = np.array([0.5, 0.5, -UNLIKE_WEIGHT])
    np.testing.assert_allclose(combine(like, unlike), expected / np.linalg.norm(expected), rtol=1e-6)


def test_examples_that_cancel_out_are_refused() -> None:
    one = np.eye(2, dtype=np.float32)[:1]
    with pytest.raises(UsageError, match="cancels out"):
        combine(one, one * np.float32(1 / UNLIKE_WEIGHT))


@given(st.text("ent", max_size=50))
def test_run_lengths_tell_the_whole_text(text: str) -> None:
    assert "".join(length * letter for length, letter in _runs(_run_lengths(text))) == text


def test_a_chips_box_in_mercator_is_that_of_pyproj() -> None:
    from pyproj import Transformer  # noqa: PLC0415

    chip = Chip(column=1155, row=287, pixels=512)
    transformer = Transformer.from_crs(4326, 3857, always_xy=True)
    bounds = chip.bounds
    expected = [*transformer.transform(bounds.west, bounds.south), *transformer.transform(bounds.east, bounds.north)]
    assert mercator_box(chip) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://host/x", "https://", "https://user:secret@host/wms", "host/wms"])
def test_what_is_no_address_of_a_wms_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Wms(url, "layer")
    assert "secret" not in str(caught.value)


def test_the_steps_import_nothing_of_search() -> None:
    code = "import sys, embedder.cli.steps; print([name for name in ('lancedb', 'fastapi', 'embedder.explore') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 - our own code
    assert found.stdout.strip() == "[]"
