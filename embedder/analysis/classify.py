"""Learn classes, or their shares, from vectors, and say those of others: by the nearest vectors, and by one linear map.

Both are fixed, not tuned, so that two sets of embeddings compare: who tunes them for a purpose gets some more. scikit-learn fits the maps
(Pedregosa et al., JMLR 12, 2011); it comes with the extras `report` and `classify`.
"""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""(rows, width)"""
Shares = NDArray[np.float64]
"""(rows, classes): of each class in a chip, 0 to 1; of one class alone, 1 there and 0 elsewhere."""
Classes = NDArray[np.int64]
"""(rows,): the class of each, as a column of `Shares`."""
Tell = Callable[[Vectors], Shares]
"""What was learnt: of vectors that are asked about, the shares or the probabilities of the classes."""

NEIGHBOURS = 20
"""As in Wu et al., "Unsupervised feature learning via non-parametric instance discrimination", CVPR 2018, and DINO after them, by size."""
CLASS_STRENGTH = 0.1
"""C of the logistic regression, the inverse of its penalty, on features of variance 1."""
SHARE_PENALTY = 100.0
"""alpha of the ridge regression, likewise."""
ITERATIONS = 300
BLOCK_ROWS = 512
"""Compared at a time: of 10,000 vectors 20 MB."""


def one_hot(classes: Classes, count: int) -> Shares:
    """Each class as the shares of `count` classes."""
    return np.eye(count)[classes]


def learn_nearest(vectors: Vectors, known: Shares, neighbours: int = NEIGHBOURS) -> Tell:
    """The mean of what is known of the vectors with the highest cosine; all are of length 1."""
    first = max(len(vectors) - neighbours, 0)

    def tell(asked: Vectors) -> Shares:
        found = np.empty((len(asked), known.shape[1]))
        for start in range(0, len(asked), BLOCK_ROWS):
            cosines = asked[start : start + BLOCK_ROWS] @ vectors.T
            found[start : start + BLOCK_ROWS] = known[np.argpartition(cosines, first, axis=1)[:, first:]].mean(axis=1)
        return found

    return tell


def learn_classes(vectors: Vectors, classes: Classes, count: int) -> Tell:
    """The probability of each of `count` classes, 0 of one that was not learnt, by logistic regression on standardised vectors.

    The probe of Alain and Bengio, "Understanding intermediate layers", 2016.
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - scikit-learn's own

    learnt = np.unique(classes)
    if len(learnt) == 1:  # which the regression refuses
        return lambda asked: np.tile(one_hot(learnt, count), (len(asked), 1))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=CLASS_STRENGTH, max_iter=ITERATIONS))
    # One thread: of products with few axes, BLAS's threads mostly wait for each other, and a fit takes four times as long.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly there is near enough
        model.fit(vectors, classes)

    scaler, regression = model
    weights = regression.coef_ / scaler.scale_
    offset = regression.intercept_ - weights @ scaler.mean_
    if len(learnt) == 2:  # noqa: PLR2004 - of two classes it keeps the second one's weights alone
        weights, offset = np.vstack([0 * weights, weights]), np.array([0, *offset])
    axes = weights.astype(np.float32)

    def tell(asked: Vectors) -> Shares:
        # A product for each class, for the same reason.
        scores = np.column_stack([asked @ axis for axis in axes]) + offset
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        found = np.zeros((len(asked), count))
        found[:, learnt] = odds / odds.sum(axis=1, keepdims=True)
        return found

    return tell


def linear_shares(vectors: Vectors, shares: Shares, asked: Vectors) -> Shares:
    """Ridge regression on standardised vectors, each class by itself, cut to 0 to 1: Hoerl and Kennard, Technometrics 12, 1970."""
    from sklearn.linear_model import Ridge  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    model = make_pipeline(StandardScaler(), Ridge(alpha=SHARE_PENALTY)).fit(vectors, shares)
    found: Shares = np.clip(model.predict(asked).reshape(len(asked), shares.shape[1]), 0, 1)
    return found
