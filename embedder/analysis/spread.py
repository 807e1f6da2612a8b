"""How numbers are spread: quantiles, and a histogram that a few outliers do not squash."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
BINS = 60
OUTSIDE = 0.001
"""The share of the numbers at either end that the histogram only counts."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Of some numbers."""

    count: int
    quantiles: dict[str, float]
    """By the share of the numbers below: `0` the smallest, `0.5` the median, `1` the largest."""
    edges: list[float]
    """Of the histogram's bins, one more than there are."""
    counts: list[int]
    below: int
    """Numbers beneath the first edge."""
    above: int
    """Numbers beyond the last edge."""


def spread_of(values: NDArray[np.floating]) -> Spread | None:
    """None where there are no numbers. numpy's linear quantiles (method 7 of Hyndman and Fan, The American Statistician 50, 1996)."""
    if not len(values):
        return None
    exact = values.astype(np.float64)
    quantiles = dict(zip((f"{each:g}" for each in QUANTILES), np.quantile(exact, QUANTILES).tolist(), strict=True))
    low, high = np.quantile(exact, [OUTSIDE, 1 - OUTSIDE])
    counts, edges = np.histogram(exact, BINS, (low, high))
    edges = edges.tolist()
    below, above = int((exact < edges[0]).sum()), int((exact > edges[-1]).sum())
    return Spread(count=len(exact), quantiles=quantiles, edges=edges, counts=counts.tolist(), below=below, above=above)
