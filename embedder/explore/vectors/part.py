"""Some columns of a year, read as they are asked for: for a box, or an output of few columns, that needs no cache of the year."""

import weakref
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from embedder.console.progress import Progress
from embedder.explore.vectors.catalogue import Published
from embedder.explore.vectors.column_rows import read_column
from embedder.explore.vectors.database import Database
from embedder.explore.vectors.ingest import THREADS, TOGETHER
from embedder.grid import COLUMN_PIXELS, TILE_PIXELS, WEST, Bounds, Chip
from embedder.storage.base import os_errors_at
from embedder.storage.scratch import scratch_folder

FEW = 64
"""Columns that need no cache: some 100 MB, in which every chip is compared within 20 ms."""


class Part:
    """A database of the columns that were asked for so far. Its files are temporary, and go with it."""

    def __init__(self, published: Published) -> None:
        self._published = published
        with ExitStack() as stack:
            folder = stack.enter_context(scratch_folder())
            self.database = Database(folder, published.recipe, published.year, published.digest)
            stack.callback(self.database.close)
            weakref.finalize(self, stack.pop_all().close)

    def add(self, columns: Sequence[int], progress: Progress) -> None:
        """Read those of these columns that are published and not there yet, each file whole and verified."""
        missing = sorted({*columns} & self._published.columns.keys() - self.database.record.columns.keys())
        with progress.task(f"read {self._published.year}", columns=len(missing)), os_errors_at(str(self.database.folder)):
            for first in range(0, len(missing), TOGETHER):
                some = missing[first : first + TOGETHER]
                with ThreadPoolExecutor(THREADS, thread_name_prefix="read") as pool:
                    contents = list(pool.map(partial(read_column, self._published), some))
                names = [self._published.columns[column].identity for column in some]
                self.database.append(dict(zip(some, zip(names, contents, strict=True), strict=True)))
                for _ in some:
                    progress.column_done()
        if missing:
            self.database.reload()


def columns_in(published: Published, bounds: Bounds | None) -> list[int]:
    """The published columns that touch a box with more than their edge, all without one."""
    if bounds is None:
        return list(published.columns)
    west, east = ((value - WEST) * TILE_PIXELS / COLUMN_PIXELS for value in (bounds.west, bounds.east))
    return [column for column in published.columns if column + 1 > west and column < east]


def columns_of(published: Published, chips: Iterable[Chip]) -> list[int]:
    """The published columns of chips; for one in a column that is not, the nearest that is, in which a neighbour can be named."""
    wanted = {chip.column * chip.pixels // COLUMN_PIXELS for chip in chips}
    return [min(published.columns, key=lambda column: abs(column - each)) for each in wanted]
