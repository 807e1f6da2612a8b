"""What is odd about embeddings of which each is valid: copies in bulk, and lengths far from the others'."""

from collections.abc import Sequence

import numpy as np

from embedder.output.column_file import CheckedColumn, embedded_chips
from embedder.output.run import Run
from embedder.output.vectors import FAR, copies, far

BULK = 0.01
"""The share of copies from which one speaks of them."""


def oddities(run: Run, checked: Sequence[CheckedColumn]) -> list[str]:
    """What to know of a run's embeddings beyond that each is valid, a sentence each."""
    marks = np.concatenate([np.empty(0, np.uint64), *(column.fingerprints for column in checked)])
    found = np.concatenate([np.empty(0, np.float32), *(column.lengths for column in checked)])
    ends = np.cumsum([len(column.lengths) for column in checked])

    def name(row: int) -> str:
        place = int(np.searchsorted(ends, row, side="right"))
        column = checked[place]
        return embedded_chips(run, column.column, column.outcomes)[row - int(ends[place]) + len(column.lengths)].id

    said = []
    again = np.flatnonzero(copies(marks))
    if len(again) > BULK * len(marks):
        one = int(again[0])
        other = int(np.flatnonzero(marks == marks[one])[0])
        said.append(
            f"{len(again)} of {len(marks)} embeddings are copies of others, as those of chips {name(other)} and {name(one)}: "
            "compare their pixels before they are relied on"
        )
    distant = np.flatnonzero(far(found))
    if len(distant):
        furthest = int(distant[np.abs(np.log(found[distant] / np.median(found))).argmax()])
        said.append(
            f"{len(distant)} of {len(found)} embeddings are more than {FAR:g} times longer or shorter than the median of "
            f"{np.median(found):.4g}, chip {name(furthest)} with {found[furthest]:.4g}: look at their pixels before they are relied on"
        )
    return said
