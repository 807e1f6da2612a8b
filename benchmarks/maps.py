"""Something of every chip: classes learnt from labels, and the picture in false colour, against scikit-learn used plainly.

    python benchmarks/maps.py [--rows 100000] [--labels 1000]

A whole continent is --rows 796374: the made-up embeddings of benchmarks/explore.py, 2.5 GB in build/bench, and 5 GB for the cache. The
classes are invented too: five, by the place, in squares. The baselines learn from the same labels, are not cross-validated, and say the
classes of the same blocks of rows; PCA has all vectors in memory.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from explore import FOLDER, RECIPE, make_output

from embedder.analysis.classify import CLASS_STRENGTH, ITERATIONS
from embedder.console.progress import Progress
from embedder.explore.classification import METHODS, classify, neighbours_for
from embedder.explore.colours import principal_colours
from embedder.explore.labels import Labels
from embedder.explore.vectors.catalogue import published_years
from embedder.explore.vectors.database import Database
from embedder.explore.vectors.ingest import open_database
from embedder.storage import open_storage

CLASSES = tuple("abcde")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long it took."""
    start = time.perf_counter()
    yield
    print(f"{what:44} {time.perf_counter() - start:6.1f} s   peak memory so far {peak():.2f} GB", flush=True)


def peak() -> float:
    """GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def drawn(database: Database, count: int) -> tuple[np.ndarray, Labels]:
    """Rows drawn by lot, in their order, and their labels."""
    rows = np.sort(np.random.default_rng(0).choice(database.rows, count, replace=False))
    chips = database.chips[rows]
    codes = (chips[:, 0].astype(np.int64) // 40 + chips[:, 1] // 40) % len(CLASSES)
    return rows, Labels(pixels=RECIPE.chip_pixels, chips=chips, codes=codes, classes=CLASSES)


def by_blocks(database: Database, say: Callable[[np.ndarray], np.ndarray]) -> None:
    """What scikit-learn says of each block."""
    for _, block in database.blocks(database.live):
        say(block).argmax(axis=1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=1_000)
    arguments = parser.parse_args()
    output = make_output(arguments.rows)
    os.environ["XDG_CACHE_HOME"] = str(FOLDER / "maps-cache")
    (published,) = published_years(open_storage(str(output)), RECIPE)
    database = open_database(published, Progress())
    rows, labels = drawn(database, arguments.labels)
    learnt = database.vectors(rows)
    print(f"{database.count} rows x {RECIPE.width}, {arguments.labels} labels of {len(CLASSES)} classes")
    by_blocks(database, lambda block: block)  # from the disk once
    with timed("false colour, three components"):
        principal_colours(database)
    for method in METHODS:
        with timed(f"classify, {method}, cross-validated"):
            classify(database, labels, method=method)

    from sklearn.decomposition import PCA  # noqa: PLC0415 - its memory is the baseline's
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    with timed("plain scikit-learn, logistic"):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=CLASS_STRENGTH, max_iter=ITERATIONS)).fit(learnt, labels.codes)
        by_blocks(database, model.predict_proba)
    with timed("plain scikit-learn, knn"):
        nearest = KNeighborsClassifier(neighbours_for(len(learnt)), algorithm="brute").fit(learnt, labels.codes)
        by_blocks(database, nearest.predict_proba)
    with timed("plain scikit-learn, PCA in memory"):
        PCA(3, svd_solver="covariance_eigh").fit_transform(database.vectors(np.arange(database.rows)))


if __name__ == "__main__":
    main()
