"""How well classes and shares are said, as sums over chips, so that those of blocks add up and can be drawn again."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Classes = NDArray[np.int64]


def confusions(true: Classes, said: Classes, count: int) -> Numbers:
    """(rows, count * count): 1 for each chip where its true class and the one that was said meet, row by row of the confusion matrix."""
    found: Numbers = np.eye(count * count)[true * count + said]
    return found


def class_scores(sums: Numbers) -> Numbers:
    """Of summed `confusions` (sets, count * count): accuracy, macro F1, then F1 by class (sets, 2 + count).

    F1 is 2 tp / (2 tp + fp + fn): van Rijsbergen, "Information retrieval", 1979; NaN of a class that is neither there nor said. Macro: the
    mean over the classes that are (Opitz and Burst, "Macro F1 and macro F1", 2019): rare ones count as much as frequent ones.
    """
    count = round(sums.shape[1] ** 0.5)
    matrices = sums.reshape(-1, count, count)
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    there, said = matrices.sum(axis=2), matrices.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * hits / (there + said)
        present = np.isfinite(f1)
        macro = np.where(present, f1, 0).sum(axis=1) / present.sum(axis=1)
        accuracy = hits.sum(axis=1) / there.sum(axis=1)
    return np.column_stack([accuracy, macro, f1])


def errors(true: Numbers, said: Numbers) -> Numbers:
    """(rows, 1 + 4 * classes): what `share_scores` adds up, of the true and the said shares (rows, classes)."""
    return np.column_stack([np.ones(len(true)), true, true**2, (true - said) ** 2, np.abs(true - said)])


def share_scores(sums: Numbers) -> Numbers:
    """Of summed `errors`: mean absolute error over all classes, mean R2, then R2 by class (sets, 2 + classes).

    R2 is 1 - squared errors over squared distances from the mean: below 0 where the mean would say more; NaN of shares that do not vary.
    """
    count, (total, squares, missed, away) = sums[:, :1], np.split(sums[:, 1:], 4, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        varied = squares - total**2 / count
        r2 = np.where(varied > 1e-9 * count, 1 - missed / varied, np.nan)  # rounding
        present = np.isfinite(r2)
        mean = np.where(present, r2, 0).sum(axis=1) / present.sum(axis=1)
        absolute = away.sum(axis=1) / count[:, 0] / away.shape[1]
    return np.column_stack([absolute, mean, r2])
