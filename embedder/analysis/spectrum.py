"""How many directions the vectors use, from sums that are taken as they stream by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Sums over vectors of one width; those of two sets add up."""

    count: int
    total: Numbers
    """(width,): the vectors' sum."""
    products: Numbers
    """(width, width): the sum of each vector's outer product with itself."""

    @classmethod
    def of(cls, vectors: NDArray[np.floating]) -> "Moments":
        """Of (rows, width); in double precision, as the covariance is a small difference of large sums."""
        exact = vectors.astype(np.float64)
        return cls(count=len(exact), total=exact.sum(axis=0), products=exact.T @ exact)

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(count=self.count + other.count, total=self.total + other.total, products=self.products + other.products)


def variances(moments: Moments) -> Numbers:
    """Along the principal axes, largest first: (width,); zeros for fewer than two vectors."""
    if moments.count < 2:  # noqa: PLR2004 - one vector varies in nothing
        return np.zeros(len(moments.total))
    found: Numbers = np.maximum(np.linalg.eigvalsh(_covariance(moments))[::-1], 0)
    return found


def principal_axes(moments: Moments, count: int) -> tuple[Numbers, Numbers]:
    """Along which the vectors vary most: (count, width), the first most, and of each its share of the variance.

    Each has length 1, and its largest part is above 0: the opposite would do as well, and this is one of them on every machine.
    """
    found, axes = np.linalg.eigh(_covariance(moments))
    axes = axes[:, ::-1][:, :count].T
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    shares = np.maximum(found[::-1], 0) / max(np.maximum(found, 0).sum(), np.finfo(float).tiny)
    return axes * np.where(largest < 0, -1, 1), shares[:count]


def _covariance(moments: Moments) -> Numbers:
    mean = moments.total / moments.count
    found: Numbers = moments.products / moments.count - np.outer(mean, mean)
    return found


def effective_rank(found: Numbers) -> float:
    """Of `variances`: e to the entropy of their roots' shares, 1 for one direction, the width for all alike; 0 where nothing varies.

    Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007; of embeddings: Garrido et al., "RankMe",
    ICML 2023, who leave the mean in. It is taken off here: what all vectors share tells no chip from another.
    """
    roots = np.sqrt(found)
    if not roots.any():
        return 0.0
    shares = roots[roots > 0] / roots.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def axes_for(found: Numbers, share: float) -> int:
    """How many principal axes it takes for that share of the variance."""
    if not found.any():
        return 0
    return int(np.searchsorted(np.cumsum(found) / found.sum(), share - 1e-12)) + 1


def mean_cosine(moments: Moments) -> float | None:
    """Of two different vectors drawn by lot, from the moments of unit vectors; None for fewer than two.

    Ethayarajh, "How contextual are contextualized word representations?", EMNLP 2019: near 1, all point the same way.
    """
    if moments.count < 2:  # noqa: PLR2004 - there is no pair
        return None
    pairs = moments.total @ moments.total - np.trace(moments.products)
    return float(pairs / (moments.count * (moments.count - 1)))
