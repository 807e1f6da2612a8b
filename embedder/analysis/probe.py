"""What a map's classes can be told by from the embeddings: learnt in some blocks of space, tested in the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedder.analysis.blocks import Numbers, sums_by_block
from embedder.analysis.classify import Classes, Shares, Vectors, learn_classes, learn_nearest, linear_shares, one_hot
from embedder.analysis.neighbours import Chips
from embedder.analysis.scores import errors, share_scores
from embedder.analysis.validate import NOTHING_LEFT, ClassScores, Estimate, Tested, class_scores_of, cross_validated, estimates, split_of


@dataclass(frozen=True, kw_only=True)
class Scores(ClassScores):
    """Of one way to tell classes and shares."""

    share_error: Estimate
    """Mean absolute error of a class's share."""
    mean_r2: Estimate
    r2: list[Estimate]
    """Of each class's share."""


@dataclass(frozen=True, kw_only=True)
class Probe(Tested):
    """What came out."""

    ways: dict[str, Scores]
    """`most frequent` knows no embeddings, but the classes learnt from: what is to be exceeded."""


def probe(chips: Chips, pixels: int, vectors: Vectors, shares: Shares) -> Probe | str:
    """Of chips `pixels` wide, with unit vectors and shares that sum to 1; where that can't be, why.

    A chip's class is the one with the largest share, of equal ones the first.
    """
    classes = shares.argmax(axis=1)
    split = split_of(chips, pixels, classes)
    if isinstance(split, str):
        return split
    count = shares.shape[1]
    both = np.hstack([one_hot(classes, count), shares])

    def most_frequent(learnt: NDArray[np.bool_], tested: NDArray[np.bool_]) -> Numbers:
        mean = both[learnt].mean(axis=0)
        return np.tile(mean, (int(tested.sum()), 1))

    def nearest(learnt: NDArray[np.bool_], tested: NDArray[np.bool_]) -> Numbers:
        return learn_nearest(vectors[learnt], both[learnt])(vectors[tested])

    def linear(learnt: NDArray[np.bool_], tested: NDArray[np.bool_]) -> Numbers:
        said = learn_classes(vectors[learnt], classes[learnt], count)(vectors[tested]).argmax(axis=1)
        return np.hstack([one_hot(said, count), linear_shares(vectors[learnt], shares[learnt], vectors[tested])])

    ways: dict[str, Scores] = {}
    for name, tell in (("most frequent", most_frequent), ("nearest", nearest), ("linear", linear)):
        said = cross_validated(chips, split.folds, tell, 2 * count)
        known = np.isfinite(said[:, 0])  # not where a fold's margin left nothing to learn from
        if not known.any():
            return NOTHING_LEFT
        true, best = classes[known], said[known, :count].argmax(axis=1)
        ways[name] = scores_of(split.blocks[known], true, shares[known], best, said[known, count:])
    return Probe(**split.facts(known), ways=ways)


def scores_of(blocks: Classes, true: Classes, shares: Shares, said: Classes, said_shares: Shares) -> Scores:
    """The scores, each with its interval, of what was said of chips in these blocks."""
    absolute, mean, *r2 = estimates(sums_by_block(blocks, errors(shares, said_shares)), share_scores)
    classes = class_scores_of(blocks, true, said, shares.shape[1])
    return Scores(**vars(classes), share_error=absolute, mean_r2=mean, r2=r2)
