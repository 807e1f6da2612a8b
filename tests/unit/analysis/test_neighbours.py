"""Chips beside each other and at tiles' edges, against loops over all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.analysis.neighbours import distances, on_tile_edge, pairs_beside, placements
from embedder.grid import Chip, tile_windows


@given(st.sets(st.tuples(st.integers(1350, 1358), st.integers(0, 9)), max_size=40), st.randoms())
def test_pairs_are_the_chips_that_share_a_side_each_once(places: set[tuple[int, int]], random: np.random.Generator) -> None:
    chips = list(places)
    random.shuffle(chips)
    one, other = pairs_beside(np.array(chips, np.int16).reshape(-1, 2))
    found = [(chips[first], chips[second]) for first, second in zip(one, other, strict=True)]
    expected = {((c, r), beside) for c, r in chips for beside in ((c + 1, r), (c, r + 1)) if beside in places}
    assert set(found) == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize("pixels", [256, 512])
def test_a_chip_is_on_an_edge_when_it_has_pixels_of_several_tiles(pixels: int) -> None:
    chips = np.array([(column, row) for column in range(40, 100) for row in range(20, 60)], np.int16)
    expected = [len(tile_windows(Chip(column=c, row=r, pixels=pixels).window)) > 1 for c, r in chips.tolist()]
    assert on_tile_edge(chips, pixels).tolist() == expected
    assert 0 < sum(expected) < len(expected) / 4


def test_distances_are_those_of_unit_vectors_and_never_below_0() -> None:
    one = np.array([[1, 0], [1, 0], [0.6, 0.8]], np.float32)
    other = np.array([[0, 1], [-1, 0], [0.6, 0.8]], np.float32)
    assert distances(one, other).tolist() == pytest.approx([1, 2, 0], abs=1e-6)
    assert (distances(one, one) >= 0).all()


def test_placements_average_to_the_chance_that_a_value_exceeds_another() -> None:
    random = np.random.default_rng(0)
    values, others = random.integers(0, 9, 50).astype(float), random.integers(0, 8, 70).astype(float)
    above, same = (values[:, None] > others).mean(), (values[:, None] == others).mean()
    assert placements(values, others).mean() == pytest.approx(above + same / 2)
