"""Every chip's answer as the page takes it: its rank, two bytes a chip of the grid, so that a threshold moves without a request."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedder.output.chip_ids import Chips

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


def ranks_of(chips: Chips, scores: NDArray[np.float32]) -> Ranks:
    """The ranks of chips (n, 2: column, row) by their scores (n,), of which the highest is best; equal ones have the same rank."""
    if not len(chips):
        return Ranks(column=0, row=0, values=np.zeros((0, 0), np.uint16))
    order = np.sort(scores)
    lower = np.searchsorted(order, scores, side="left") / max(len(order) - 1, 1)
    (west, north), (east, south) = chips.min(axis=0).tolist(), chips.max(axis=0).tolist()
    values = np.zeros((south - north + 1, east - west + 1), np.uint16)
    values[chips[:, 1] - north, chips[:, 0] - west] = 1 + np.round(lower * (BEST - 1))
    return Ranks(column=west, row=north, values=values)
