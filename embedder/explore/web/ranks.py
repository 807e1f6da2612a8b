"""Every chip's answer as the page takes it: its rank, two bytes a chip of the grid, so that a threshold moves without a request."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedder.explore.answer import Answer
from embedder.explore.layers import chip_km2

BEST = 0xFFFF
"""The rank of the best; 0 is no chip, 1 the worst."""
PERCENTILES = (
    *range(0, 90, 5),
    *range(90, 99),
    *(99 + tenth / 10 for tenth in range(9)),
    *(99.9 + hundredth / 100 for hundredth in range(10)),
)
"""Where the page's threshold can stand."""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """The ranks of a rectangle of chips."""

    column: int
    row: int
    """Of its north-west chip."""
    values: NDArray[np.uint16]
    """(rows, columns)."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """What a threshold leaves."""

    percentile: float
    value: float
    """Distance, score or change."""
    chips: int
    km2: float


def ranks_of(answer: Answer) -> Ranks:
    """Of every chip; equal ones have the same rank."""
    if not len(answer.values):
        return Ranks(column=0, row=0, values=np.zeros((0, 0), np.uint16))
    chips, goodness = answer.chips.astype(np.int64), answer.goodness
    lower = np.searchsorted(np.sort(goodness), goodness, side="left") / max(len(goodness) - 1, 1)
    (west, north), (east, south) = chips.min(axis=0).tolist(), chips.max(axis=0).tolist()
    values = np.zeros((south - north + 1, east - west + 1), np.uint16)
    values[chips[:, 1] - north, chips[:, 0] - west] = 1 + np.floor(lower * (BEST - 1))
    return Ranks(column=west, row=north, values=values)


def levels_of(answer: Answer) -> list[Level]:
    """What each of PERCENTILES leaves, as `Answer.above` does."""
    count = len(answer.values)
    if not count:
        return []
    order = np.argsort(answer.goodness)
    goodness = answer.goodness[order]
    ground = np.cumsum(chip_km2(answer.chips[order, 1], answer.database.recipe.chip_pixels)[::-1])[::-1]
    levels = []
    for percentile in PERCENTILES:
        value = goodness[int(np.ceil(percentile / 100 * (count - 1)))]
        first = int(np.searchsorted(goodness, value))
        levels.append(
            Level(
                percentile=round(percentile, 2),
                value=round(abs(float(value)) if answer.nearest_first else float(value), 6),
                chips=count - first,
                km2=round(float(ground[first]), 1),
            )
        )
    return levels
