"""Lengths, copies, and what stands out."""

import numpy as np
import pytest

from embedder.output.vectors import copies, far, fingerprints, lengths


def test_lengths_are_euclidean() -> None:
    assert lengths(np.array([[3, 4], [0, 2]], np.float32)).tolist() == [5, 2]
    assert lengths(np.empty((0, 768), np.float32)).shape == (0,)


def test_a_copy_is_one_of_an_earlier_row_in_every_byte() -> None:
    rows = np.random.default_rng(0).standard_normal((6, 16), dtype=np.float32)
    rows[[2, 5]] = rows[0]
    rows[3] = rows[1]
    rows[3, 15] = np.nextafter(rows[1, 15], np.float32(9))
    assert copies(fingerprints(rows)).tolist() == [False, False, True, False, False, True]
    assert copies(fingerprints(rows[:, ::2])).tolist() == [False, False, True, True, False, True]  # whatever the memory's order
    assert copies(fingerprints(rows[:0])).tolist() == []


@pytest.mark.parametrize(("length", "is_far"), [(1, False), (0.51, False), (0.49, True), (1.99, False), (2.01, True)])
def test_a_length_is_far_when_it_is_not_within_twice_the_median(length: float, *, is_far: bool) -> None:
    assert far(np.array([1, 1, 1, length], np.float32)).tolist() == [False, False, False, is_far]
    assert far(np.empty(0, np.float32)).tolist() == []
