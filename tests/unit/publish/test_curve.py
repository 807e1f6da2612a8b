import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.publish.curve import hilbert


def square(order: int) -> np.ndarray:
    side = np.arange(1 << order)
    return np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("order", [0, 1, 2, 5])
def test_every_place_comes_once_and_next_to_the_one_before_it(order: int) -> None:
    places = square(order)
    along = hilbert(places, order)
    assert sorted(along) == list(range(4**order))
    steps = np.abs(np.diff(places[np.argsort(along)], axis=0)).sum(axis=1)
    assert (steps == 1).all()


@given(st.integers(0, 2**11 - 1), st.integers(0, 2**11 - 1), st.integers(0, 5))
def test_an_aligned_square_is_one_piece_of_the_curve(x: int, y: int, order: int) -> None:
    corner = np.array([x, y]) >> order << order
    pieces = hilbert(corner + square(order), 11) // 4**order
    assert len(set(pieces)) == 1


def test_a_place_outside_is_refused() -> None:
    with pytest.raises(ValueError, match="outside a square of 8"):
        hilbert(np.array([[8, 0]]), 3)
    with pytest.raises(ValueError, match="outside"):
        hilbert(np.array([[0, -1]]), 3)


def test_nothing_has_no_places() -> None:
    assert hilbert(np.empty((0, 2), np.int16), 11).size == 0
