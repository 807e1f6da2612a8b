"""How much of the truth the index finds."""

import statistics
import time
from dataclasses import dataclass

import numpy as np

from embedder.explore.search import Hit, Question, Searcher

QUERIES = 100
COUNT = 10


@dataclass(frozen=True, kw_only=True)
class Recall:
    """Of a sample of questions."""

    queries: int
    recall: float
    """The part of the exact hits that the index finds too."""
    quick_ms: float
    """Median of a question as it is usually answered."""
    exact_ms: float
    """Median of an exact one."""
    has_index: bool


def measure(searcher: Searcher, queries: int = QUERIES) -> Recall:
    """Ask for the chips like some drawn by lot, both ways."""
    positions = np.flatnonzero(searcher.database.live) if searcher.database.count > 1 else np.empty(0, np.int64)
    drawn = np.random.default_rng(0).choice(positions, min(queries, len(positions)), replace=False).tolist()
    found, wanted, times = 0, 0, ([], [])  # type: ignore[var-annotated]
    for position in drawn:
        chip = searcher.database.chip(position)
        answers: list[set[str]] = []
        for exact in (False, True):
            start = time.perf_counter()
            hits = searcher.search(Question(like=[chip], count=COUNT, exact=exact))
            times[exact].append(1e3 * (time.perf_counter() - start))
            answers.append(_ids(hits))
        found += len(answers[0] & answers[1])
        wanted += len(answers[1])
    quick, exact_ms = (statistics.median(each) if each else 0.0 for each in times)
    return Recall(queries=len(drawn), recall=found / max(wanted, 1), quick_ms=quick, exact_ms=exact_ms, has_index=searcher.has_index)


def describe(measured: Recall) -> str:
    """One line."""
    if not measured.queries:
        return "fewer than two chips are embedded: there is nothing to measure"
    how = f"index {measured.quick_ms:.1f} ms" if measured.has_index else "too few chips for an index, all are compared"
    return f"recall@{COUNT} {measured.recall:.3f} over {measured.queries} queries; {how}, exact {measured.exact_ms:.1f} ms (medians)"


def _ids(hits: list[Hit]) -> set[str]:
    return {hit.chip.id for hit in hits}
