"""Quantiles and histograms."""

import numpy as np
import pytest

from embedder.analysis.spread import BINS, spread_of


def test_a_spread_says_what_lies_outside_of_its_histogram_when_there_are_outliers() -> None:
    values = np.append(np.linspace(0, 1, 9_998), [1_000, -500]).astype(np.float32)
    found = spread_of(values)
    assert found
    assert found.count == sum(found.counts) + found.below + found.above == 10_000
    assert found.edges[0] > -1
    assert found.edges[-1] < 2
    assert len(found.edges) == BINS + 1
    assert min(found.below, found.above) >= 1
    assert found.quantiles["0"] == -500
    assert found.quantiles["1"] == 1_000
    assert found.quantiles["0.5"] == pytest.approx(0.5)


def test_a_spread_of_equal_numbers_counts_all_of_them() -> None:
    found = spread_of(np.full(7, 3.0, np.float32))
    assert found
    assert sum(found.counts) == 7


def test_there_is_no_spread_of_nothing() -> None:
    assert spread_of(np.empty(0, np.float32)) is None
