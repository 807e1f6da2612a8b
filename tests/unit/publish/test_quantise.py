from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder.publish.quantise import QUERIES, Quantisation, recall, survey


def vectors(rows: int, width: int = 64, seed: int = 0) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    return (random.standard_normal((rows, width)) * random.uniform(0.1, 9, width) + random.uniform(-3, 3, width)).astype(np.float32)


def blocks(numbers: NDArray[np.float32], size: int = 97) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]


def test_numbers_come_back_within_half_a_step_of_their_dimension() -> None:
    numbers = vectors(500)
    found = survey(blocks(numbers), len(numbers)).quantisation
    codes = found.encode(numbers)
    assert codes.dtype == np.int8
    assert {codes.min(), codes.max()} == {-127, 127}
    assert (np.abs(found.decode(codes) - numbers) <= 0.501 * found.scale).all()


def test_a_dimension_without_range_comes_back_as_it_is() -> None:
    numbers = np.array([[2.5, 0], [2.5, 1]], np.float32)
    found = survey([numbers], 2).quantisation
    assert (found.decode(found.encode(numbers)) == numbers).all()


def test_the_record_is_the_same_quantisation_again() -> None:
    found = survey([vectors(50)], 50).quantisation
    again = Quantisation.from_record(found.to_record())
    assert (again.scale == found.scale).all()
    assert (again.offset == found.offset).all()


def plain_recall(numbers: NDArray[np.float32], coded: NDArray[np.float32], queries: NDArray[np.int64]) -> float:
    """By sorting all."""
    unit, unit_coded = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (numbers, coded))
    hits = 0
    for query in queries.tolist():
        named = [set(np.argsort(-(each @ each[query]))[:11]) - {query} for each in (unit, unit_coded)]
        hits += len(named[0] & named[1])
    return hits / (10 * len(queries))


def test_recall_is_that_of_a_plain_search() -> None:
    numbers = vectors(1_000, 8)
    surveyed = survey(blocks(numbers), len(numbers))
    found = surveyed.quantisation
    wanted = plain_recall(numbers, found.decode(found.encode(numbers)), surveyed.queries)
    assert len(surveyed.queries) == QUERIES
    assert 0.8 < wanted < 1
    assert recall(blocks(numbers, 211), surveyed) == pytest.approx(wanted, abs=1e-3)


def test_recall_is_low_when_codes_say_little() -> None:
    numbers = vectors(1_000, 8)
    numbers[0] = 1e6  # stretches every dimension, so that all others share a code
    assert recall([numbers], survey([numbers], len(numbers))) < 0.1


def test_equals_are_no_loss() -> None:
    numbers = np.repeat(vectors(4), 50, axis=0)
    assert recall(blocks(numbers), survey(blocks(numbers), len(numbers))) == 1


@pytest.mark.parametrize("rows", [1, 2, 11])
def test_few_chips_are_all_neighbours(rows: int) -> None:
    numbers = vectors(rows)
    assert recall([numbers], survey([numbers], rows)) == 1
