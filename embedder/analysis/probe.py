"""What a map's classes can be told by from the embeddings: learnt in some blocks of space, tested in the others."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedder.analysis.blocks import MARGIN, blocks_of, folds_of, interval, learnt_from, side_for, sums_by_block
from embedder.analysis.classify import Classes, Shares, Vectors, by_nearest, linear_classes, linear_shares, one_hot
from embedder.analysis.neighbours import Chips
from embedder.analysis.scores import class_scores, confusions, errors, share_scores

Numbers = NDArray[np.float64]
LEAST_CHIPS = 10
"""With a class each: of fewer, no figure says anything."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure, and the interval that it lies in with 95 %; None where it can't be told."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Of one way to tell classes and shares."""

    accuracy: Estimate
    macro_f1: Estimate
    f1: list[Estimate]
    """By class."""
    confusion: list[list[int]]
    """Chips by true class, then by the class that was said."""
    share_error: Estimate
    """Mean absolute error of a class's share."""
    mean_r2: Estimate
    r2: list[Estimate]
    """Of each class's share."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What came out."""

    chips: int
    tested: int
    """Of them; a fold whose margin leaves nothing to learn from is not."""
    blocks: int
    block_degrees: float
    folds: int
    margin: int
    ways: dict[str, Scores]
    """`most frequent` knows no embeddings, but the classes learnt from: what is to be exceeded."""


def probe(chips: Chips, pixels: int, vectors: Vectors, shares: Shares) -> Probe | str:
    """Of chips `pixels` wide, with unit vectors and shares that sum to 1; where that can't be, why.

    A chip's class is the one with the largest share, of equal ones the first.
    """
    if len(chips) < LEAST_CHIPS:
        return f"{len(chips)} chips have both an embedding and classes: {LEAST_CHIPS} are the least that say anything"
    side = side_for(chips, pixels)
    if side is None:
        return "all chips lie in one small block of space: there is no other to learn from"
    classes = shares.argmax(axis=1)
    if len(np.unique(classes)) == 1:
        return "all chips are of one class: there is nothing to tell apart"
    blocks = blocks_of(chips, pixels, side)
    folds = folds_of(blocks)
    count = shares.shape[1]
    both = np.hstack([one_hot(classes, count), shares])

    def most_frequent(learnt: NDArray[np.bool_], tested: NDArray[np.bool_]) -> Numbers:
        mean = both[learnt].mean(axis=0)
        return np.tile(mean, (int(tested.sum()), 1))

    def nearest(learnt: NDArray[np.bool_], tested: NDArray[np.bool_]) -> Numbers:
        return by_nearest(vectors[learnt], both[learnt], vectors[tested])

    def linear(learnt: NDArray[np.bool_], tested: NDArray[np.bool_]) -> Numbers:
        said = linear_classes(vectors[learnt], classes[learnt], vectors[tested])
        return np.hstack([one_hot(said, count), linear_shares(vectors[learnt], shares[learnt], vectors[tested])])

    ways: dict[str, Scores] = {}
    for name, tell in (("most frequent", most_frequent), ("nearest", nearest), ("linear", linear)):
        said = cross_validated(chips, folds, tell, 2 * count)
        known = np.isfinite(said).all(axis=1)  # not where a fold's margin left nothing to learn from
        if not known.any():
            return "the blocks are so small that nothing is left to learn from: embed more columns"
        ways[name] = scores_of(blocks[known], classes[known], shares[known], said[known, :count].argmax(axis=1), said[known, count:])
    return Probe(
        chips=len(chips),
        tested=int(known.sum()),
        blocks=len(np.unique(blocks)),
        block_degrees=round(side / 12_000, 3),
        folds=int(folds.max()) + 1,
        margin=MARGIN,
        ways=ways,
    )


def cross_validated(
    chips: Chips, folds: Classes, tell: Callable[[NDArray[np.bool_], NDArray[np.bool_]], Numbers], width: int, margin: int = MARGIN
) -> Numbers:
    """What `tell(learnt, tested)`, two masks, says of each chip while its fold is tested: (rows, width), NaN where it can't learn."""
    said = np.full((len(chips), width), np.nan)
    for fold in np.unique(folds):
        tested = folds == fold
        learnt = learnt_from(chips, tested, margin)
        if learnt.any():
            said[tested] = tell(learnt, tested)
    return said


def scores_of(blocks: Classes, true: Classes, shares: Shares, said: Classes, said_shares: Shares) -> Scores:
    """The scores, each with its interval, of what was said of chips in these blocks."""
    count = shares.shape[1]
    by_class = confusions(true, said, count)
    accuracy, macro, *f1 = _estimates(sums_by_block(blocks, by_class), class_scores)
    absolute, mean, *r2 = _estimates(sums_by_block(blocks, errors(shares, said_shares)), share_scores)
    return Scores(
        accuracy=accuracy,
        macro_f1=macro,
        f1=f1,
        confusion=by_class.sum(axis=0).reshape(count, count).astype(int).tolist(),
        share_error=absolute,
        mean_r2=mean,
        r2=r2,
    )


def _estimates(parts: Numbers, statistic: Callable[[Numbers], Numbers]) -> list[Estimate]:
    found = zip(*(each.tolist() for each in interval(parts, statistic)), strict=True)
    return [Estimate(**{name: _number(each) for name, each in zip(("value", "low", "high"), three, strict=True)}) for three in found]


def _number(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None
