"""A class for every chip: learnt from labelled ones, tested on other ground, and said of the whole year, block by block of rows."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from embedder.analysis.blocks import Numbers
from embedder.analysis.classify import NEIGHBOURS, Classes, Tell, Vectors, learn_classes, learn_nearest, one_hot
from embedder.analysis.validate import Estimate, Mask, Validation, validate
from embedder.errors import UsageError, require_extra
from embedder.explore.labels import Labels, place_labels
from embedder.explore.layers import Layer
from embedder.explore.search import within
from embedder.explore.vectors.database import Database
from embedder.grid import Bounds

METHODS = ("logistic", "knn")
"""Logistic regression on standardised vectors; the mean of the nearest labelled ones."""

MOST_LABELS = 10_000
"""That are learnt from, 31 MB of vectors: with more, both methods take minutes, and tell hardly more."""
FEW_LABELS = 100
"""Of a class: it keeps as many, however many others there are."""

Learn = Callable[[Vectors, Classes, int], Tell]


@dataclass(frozen=True, kw_only=True)
class Classification:
    """What came out."""

    layer: Layer
    """Of each chip `class` and `probability`, 0 to 1: of a model that has learnt from all labels."""
    validation: Validation | str
    """How well the method does on other ground than it has learnt; or why that can't be said."""
    labelled: dict[str, int]
    """Chips by class that were learnt from."""
    notes: tuple[str, ...]
    """Which labels were left out, a line each."""

    @property
    def accuracy(self) -> list[str]:
        """Lines to read: how well the method does on other ground."""
        tested = self.validation
        if isinstance(tested, str):
            return [f"not tested: {tested}"]
        return [
            f"tested on {tested.tested:,} of them, {tested.blocks} blocks of {tested.block_degrees:g} degrees in {tested.folds} folds:",
            f"accuracy {say_estimate(tested.scores.accuracy)}, macro F1 {say_estimate(tested.scores.macro_f1)}",
            f"who always says the most frequent class has an accuracy of {tested.most_frequent:.3f}",
        ]

    def by_class(self) -> dict[str, Mask]:
        """Which of the layer's chips are of each class."""
        return {name: self.layer.fields["class"] == code for code, name in enumerate(self.layer.classes["class"])}


def say_estimate(estimate: Estimate) -> str:
    """A figure and its interval, in words."""
    if estimate.value is None:
        return "unknown"
    interval = "" if estimate.low is None else f" ({estimate.low:.3f} to {estimate.high:.3f})"
    return f"{estimate.value:.3f}{interval}"


def check_method(method: str) -> None:
    """UsageError for one that does not exist; ConfigurationError where scikit-learn is not installed."""
    if method not in METHODS:
        raise UsageError(f"there is no method {method}: choose {' or '.join(METHODS)}")
    require_extra("classify", "sklearn")


def classify(
    database: Database, labels: Labels, *, method: str = METHODS[0], seed: int = 0, bounds: Bounds | None = None
) -> Classification:
    """Learn from the labels, and say the class of each chip of the year, or of those that touch a box.

    Equal seeds give equal answers: the seed draws the folds and the intervals of the test, and the labels where they are too many.
    UsageError for a wrong method or an empty box, ConfigurationError where the labels don't do (`place_labels`) or scikit-learn is not
    installed.
    """
    check_method(method)
    placed = place_labels(database, labels)
    mask = database.live if bounds is None else database.live & within(database, bounds)
    if not mask.any():
        raise UsageError(f"no chip of {database.year} is embedded in this box: choose a larger one, or none")
    learn: Learn = learn_classes if method == METHODS[0] else _learn_knn
    drawn = draw(placed.codes, seed)
    positions, codes, count = placed.positions[drawn], placed.codes[drawn], len(placed.classes)
    vectors, notes = database.vectors(positions), placed.notes
    if len(codes) < len(placed.codes):
        notes = (*notes, f"of {len(placed.codes):,} labelled chips {len(codes):,} are learnt from, drawn by lot")

    def tell(learnt: Mask, tested: Mask) -> Numbers:
        return learn(vectors[learnt], codes[learnt], count)(vectors[tested])

    validation = validate(database.chips[positions], database.recipe.chip_pixels, codes, count, tell, seed=seed)
    best, probability = _say(database, mask, learn(vectors, codes, count))
    labelled = {name: int(number) for name, number in zip(placed.classes, np.bincount(codes), strict=True)}
    metadata = {
        "method": method,
        "seed": seed,
        "labelled": labelled,
        "validation": validation if isinstance(validation, str) else asdict(validation),
    }
    layer = Layer(
        year=database.year,
        recipe=database.recipe,
        chips=database.chips[mask],
        fields={"class": best, "probability": probability},
        classes={"class": list(placed.classes)},
        metadata=metadata,
    )
    return Classification(layer=layer, validation=validation, labelled=labelled, notes=notes)


def draw(codes: Classes, seed: int) -> NDArray[np.int64]:
    """Which labels are learnt from, in their order: all, or about MOST_LABELS drawn by lot, with FEW_LABELS or all of a rare class."""
    if len(codes) <= MOST_LABELS:
        return np.arange(len(codes))
    lot = np.random.default_rng(seed).permutation(len(codes))
    kept = []
    for code in np.unique(codes):
        of_class = lot[codes[lot] == code]
        kept.append(of_class[: max(FEW_LABELS, len(of_class) * MOST_LABELS // len(codes))])
    return np.sort(np.concatenate(kept))


def neighbours_for(count: int) -> int:
    """How many of so many labelled chips a chip is compared with: about the root, odd, so that two classes seldom tie, at most 21.

    Loftsgaarden and Quesenberry, "A nonparametric estimate of a multivariate density function", 1965.
    """
    return min(NEIGHBOURS, isqrt(count)) | 1


def _learn_knn(vectors: Vectors, classes: Classes, count: int) -> Tell:
    return learn_nearest(vectors, one_hot(classes, count), neighbours_for(len(classes)))


def _say(database: Database, mask: Mask, tell: Tell) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The most probable class of each row that is meant, of equal ones the first, and its probability."""
    best, probability = np.empty(database.rows, np.uint8), np.empty(database.rows, np.float32)
    for start, block in database.blocks(mask):
        rows, said = slice(start, start + len(block)), tell(block)
        best[rows], probability[rows] = said.argmax(axis=1), said.max(axis=1)
    return best[mask], probability[mask]
