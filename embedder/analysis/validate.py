"""How well classes are told: learnt in some blocks of space, tested in the others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.analysis.blocks import MARGIN, Labels, Numbers, blocks_of, folds_of, interval, learnt_from, side_for, sums_by_block
from embedder.analysis.classify import Classes
from embedder.analysis.neighbours import Chips
from embedder.analysis.scores import class_scores, confusions
from embedder.grid import TILE_PIXELS

Mask = NDArray[np.bool_]
"""(rows,): which chips are meant."""

LEAST_CHIPS = 10
"""With a class each: of fewer, no figure says anything."""
NOTHING_LEFT = "the blocks are so small that nothing is left to learn from: more ground is needed"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure, and the interval that it lies in with 95 %; None where it can't be told."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """Of one way to tell classes."""

    accuracy: Estimate
    macro_f1: Estimate
    f1: list[Estimate]
    """By class."""
    confusion: list[list[int]]
    """Chips by true class, then by the class that was said."""


@dataclass(frozen=True, kw_only=True)
class Tested:
    """What was tested, and how far apart from what was learnt."""

    chips: int
    tested: int
    """Of them; a fold whose margin leaves nothing to learn from is not."""
    blocks: int
    block_degrees: float
    folds: int
    margin: int
    """Chips around those that are tested which were not learnt from."""


@dataclass(frozen=True, kw_only=True)
class Validation(Tested):
    """How well a way of telling classes does on other ground than it has learnt."""

    most_frequent: float
    """The share of the most frequent class: the accuracy of who says nothing else."""
    scores: ClassScores


@dataclass(frozen=True, kw_only=True)
class Split:
    """Chips in blocks of space, and whole blocks in folds."""

    side: int
    """Of a block, pixels."""
    blocks: Labels
    folds: Labels

    def facts(self, tested: Mask) -> dict[str, Any]:
        """The fields of `Tested`."""
        return {
            "chips": len(self.blocks),
            "tested": int(tested.sum()),
            "blocks": len(np.unique(self.blocks)),
            "block_degrees": round(self.side / TILE_PIXELS, 3),
            "folds": int(self.folds.max()) + 1,
            "margin": MARGIN,
        }


def split_of(chips: Chips, pixels: int, classes: Classes, seed: int = 0) -> Split | str:
    """How chips `pixels` wide are tested; where they can't be, why."""
    if len(chips) < LEAST_CHIPS:
        return f"{len(chips)} chips have both an embedding and classes: {LEAST_CHIPS} are the least that say anything"
    side = side_for(chips, pixels)
    if side is None:
        return "all chips lie in one small block of space: there is no other to learn from"
    if len(np.unique(classes)) == 1:
        return "all chips are of one class: there is nothing to tell apart"
    blocks = blocks_of(chips, pixels, side)
    return Split(side=side, blocks=blocks, folds=folds_of(blocks, seed=seed))


def validate(
    chips: Chips, pixels: int, classes: Classes, count: int, tell: Callable[[Mask, Mask], Numbers], *, seed: int = 0
) -> Validation | str:
    """How well `tell`, as in `cross_validated`, says the probabilities (rows, count) of classes; where that can't be tested, why."""
    split = split_of(chips, pixels, classes, seed)
    if isinstance(split, str):
        return split
    said = cross_validated(chips, split.folds, tell, count)
    known = np.isfinite(said[:, 0])  # not where a fold's margin left nothing to learn from
    if not known.any():
        return NOTHING_LEFT
    true = classes[known]
    scores = class_scores_of(split.blocks[known], true, said[known].argmax(axis=1), count, seed)
    return Validation(**split.facts(known), most_frequent=round(float(np.bincount(true).max() / len(true)), 4), scores=scores)


def cross_validated(chips: Chips, folds: Labels, tell: Callable[[Mask, Mask], Numbers], width: int, margin: int = MARGIN) -> Numbers:
    """What `tell(learnt, tested)`, two masks, says of each chip while its fold is tested: (rows, width), NaN where it can't learn."""
    said = np.full((len(chips), width), np.nan)
    for fold in np.unique(folds):
        tested = folds == fold
        learnt = learnt_from(chips, tested, margin)
        if learnt.any():
            said[tested] = tell(learnt, tested)
    return said


def class_scores_of(blocks: Labels, true: Classes, said: Classes, count: int, seed: int = 0) -> ClassScores:
    """The scores, each with its interval, of classes that were said of chips in these blocks."""
    by_class = confusions(true, said, count)
    accuracy, macro, *f1 = estimates(sums_by_block(blocks, by_class), class_scores, seed)
    confusion = by_class.sum(axis=0).reshape(count, count).astype(int).tolist()
    return ClassScores(accuracy=accuracy, macro_f1=macro, f1=f1, confusion=confusion)


def estimates(parts: Numbers, statistic: Callable[[Numbers], Numbers], seed: int = 0) -> list[Estimate]:
    """`blocks.interval` of each figure."""
    found = zip(*(each.tolist() for each in interval(parts, statistic, seed)), strict=True)
    return [Estimate(**{name: _number(each) for name, each in zip(("value", "low", "high"), three, strict=True)}) for three in found]


def _number(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None
