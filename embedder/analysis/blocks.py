"""Space in blocks: chips of one block are tested together, and what lies beside them is not learnt from.

Neighbouring chips are alike, so that a chip drawn by lot is known from its neighbours, and scores tell nothing of new ground: Roberts et
al., "Cross-validation strategies for data with temporal, spatial, hierarchical, or phylogenetic structure", Ecography 40, 2017; Ploton et
al., "Spatial validation reveals poor predictive performance of large-scale ecological mapping models", Nature Communications 11, 2020.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from embedder.analysis.neighbours import Chips

Labels = NDArray[np.int64]
"""(rows,): a number for each chip, such as its block's or its fold's."""
Numbers = NDArray[np.float64]

SIDES = (24 * 512, 12 * 512, 6 * 512, 3 * 512)
"""Of blocks, pixels of the source: about 1 degree down to an eighth."""
ENOUGH_BLOCKS = 20
"""The largest blocks are taken of which there are so many; of too few, an interval would be a guess."""
LEAST_BLOCKS = 2
FOLDS = 5
MARGIN = 1
"""Chips around those that are tested which are not learnt from: the eight neighbours."""
DRAWS = 1_000
"""Of a bootstrap."""
LEVEL = 0.95
"""Of its intervals."""
_DOWN = 1 << 16


def blocks_of(chips: Chips, pixels: int, side: int) -> Labels:
    """The block of each chip, `pixels` wide, by where its north-west corner lies; blocks are `side` pixels wide and high."""
    corners = chips.astype(np.int64) * pixels // side
    blocks: Labels = corners @ np.array([_DOWN, 1])
    return blocks


def side_for(chips: Chips, pixels: int) -> int | None:
    """The largest of SIDES that makes ENOUGH_BLOCKS of where the chips are, otherwise the smallest; None where that makes less than two."""
    for side in SIDES:
        count = len(np.unique(blocks_of(chips, pixels, side)))
        if count >= ENOUGH_BLOCKS:
            break
    return side if count >= LEAST_BLOCKS else None


def folds_of(blocks: Labels, folds: int = FOLDS, seed: int = 0) -> Labels:
    """The fold, from 0, of each chip: blocks go whole, by lot, into the fold that has fewest chips, the largest first."""
    _, place, counts = np.unique(blocks, return_inverse=True, return_counts=True)
    lot = np.random.default_rng(seed).permutation(len(counts))
    fold_of, sizes = np.zeros(len(counts), np.int64), np.zeros(min(folds, len(counts)), np.int64)
    for block in lot[np.argsort(-counts[lot], kind="stable")]:
        fold_of[block] = sizes.argmin()
        sizes[fold_of[block]] += counts[block]
    return fold_of[place]


def learnt_from(chips: Chips, tested: NDArray[np.bool_], margin: int = MARGIN) -> NDArray[np.bool_]:
    """Which chips may be learnt from while others are tested: those that are not within `margin` chips of one, corners included."""
    places = chips.astype(np.int64)
    keys = np.sort(places[tested] @ [_DOWN, 1])
    near = np.zeros(len(chips), np.bool_)
    for right in range(-margin, margin + 1):
        for down in range(-margin, margin + 1):
            near |= np.isin(places @ [_DOWN, 1] + right * _DOWN + down, keys)
    return ~near


def sums_by_block(blocks: Labels, values: Numbers) -> Numbers:
    """The sums of (rows, ...) over each block's chips: (blocks, ...)."""
    _, place = np.unique(blocks, return_inverse=True)
    sums = np.zeros((place.max(initial=-1) + 1, *values.shape[1:]))
    np.add.at(sums, place, values)
    return sums


def interval(parts: Numbers, statistic: Callable[[Numbers], Numbers], seed: int = 0) -> tuple[Numbers, Numbers, Numbers]:
    """What a statistic is, and between what it lies with 95 %: drawn again by blocks, as the chips of one are not independent.

    `parts` (blocks, n) are sums over each block's chips; `statistic` makes (sets, m) of sums (sets, n). Where it is not a number in a draw,
    that draw is left out. The percentile bootstrap of clusters: Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapters 8
    and 13; Davison and Hinkley, "Bootstrap methods and their application", 1997, chapter 3.8.
    """
    random = np.random.default_rng(seed)
    times = random.multinomial(len(parts), np.full(len(parts), 1 / len(parts)), DRAWS)
    drawn = statistic(times @ parts)
    tails: Sequence[float] = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    with np.errstate(all="ignore"):
        low, high = (_quantile(drawn, tail) for tail in tails)
    return statistic(parts.sum(axis=0, keepdims=True))[0], low, high


def _quantile(drawn: Numbers, share: float) -> Numbers:
    """Of each column's numbers; NaN where there are none."""
    columns = [column[np.isfinite(column)] for column in drawn.T]
    return np.array([np.quantile(column, share) if len(column) else np.nan for column in columns])
