"""LanceDB: the vectors as a table, and an index of it that names candidates, which are then compared exactly.

IVF_RQ (one bit a number and its RaBitQ correction) was chosen by measurement: docs/performance.md, "Explore".
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from embedder.errors import ConfigurationError, require_extra
from embedder.explore.vectors.column_rows import Vectors
from embedder.output.chip_ids import Chips

if TYPE_CHECKING:
    from lancedb.table import Table

INDEX_FROM = 50_000
"""Rows from which an index pays: fewer are compared exactly within some 20 ms."""
TABLE = "chips"
ROWS_A_PARTITION = 1_800
"""The square root of the rows of a continent, twice."""
PROBES = 50
"""Partitions that a search looks into."""
CANDIDATES = 20
"""Compared exactly, for each hit that is asked for."""
LEAST_CANDIDATES = 200
STALE = 2
"""The index is made anew once there are so many times the rows that it was made for."""
ITERATIONS = 15
SAMPLES = 64
"""Rows a partition that the partitions' centres are found from, and how often: more takes longer and finds no better ones."""


ERRORS = (OSError, RuntimeError, ValueError)
"""In which LanceDB says that a file is damaged, missing or can't be written."""
FULL = re.compile(r"No space left|Disk quota exceeded|os error (28|122)\b")


@contextmanager
def cache_errors_at(folder: Path) -> Iterator[None]:
    """ConfigurationError where the cache can't be written, or is damaged beyond what is made anew."""
    try:
        yield
    except ERRORS as error:
        reason = " ".join(str(error).split())[:200]
        if FULL.search(reason):
            raise ConfigurationError(
                f"no space left for the cache {folder}: make room (it may be removed, and those beside it), and run again, "
                "or set XDG_CACHE_HOME to a folder on another disk"
            ) from error
        raise ConfigurationError(f"the cache {folder} can't be used ({reason}): remove it, then start again") from error


class Index:
    """The table of a recipe and year. `position` is the row in the cache's vectors."""

    def __init__(self, folder: Path, width: int) -> None:
        require_extra("explore", "lancedb")
        os.environ.setdefault("LANCEDB_LOG", "error")  # it warns of each table that it makes
        import lancedb  # noqa: PLC0415 - slow, and small searches do without

        self._width = width
        self._note = folder / "lance" / "trained-rows"
        self._connection = lancedb.connect(folder / "lance")
        self._table: Table | None = None
        if TABLE in self._connection.list_tables().tables:
            self._table = self._connection.open_table(TABLE)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is one beside a database's vectors: those of a part of a year have none."""
        return (folder / "lance").is_dir()

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return 0 if self._table is None else self._table.count_rows()

    @property
    def is_trained(self) -> bool:
        """Whether there is an index beside the table."""
        return self._table is not None and bool(self._table.list_indices())

    def lacks(self, rows: int) -> bool:
        """Whether not each of the first `rows` is there once."""
        if self._table is None:
            return rows > 0
        positions = np.sort(self._table.search().select(["position"]).to_arrow()["position"].to_numpy())
        return not np.array_equal(positions[:rows], np.arange(rows))

    def cut(self, rows: int) -> None:
        """Forget the rows from `rows` on, which the cache's record does not know."""
        if self._table is not None and self.rows > rows:
            self._table.delete(f"position >= {rows}")

    def add(self, start: int, chips: Sequence[Chips], vectors: Sequence[Vectors]) -> None:
        """Add columns' rows from row `start` on, in one commit."""
        schema = pa.schema(
            [
                pa.field("position", pa.int32(), nullable=False),
                pa.field("chip_id", pa.string(), nullable=False),
                pa.field("vector", pa.list_(pa.float32(), self._width), nullable=False),
            ]
        )
        if self._table is None:
            self._table = self._connection.create_table(TABLE, schema=schema, exist_ok=True)
        batches = []
        for some_chips, some_vectors in zip(chips, vectors, strict=True):
            arrays = [
                pa.array(np.arange(start, start + len(some_chips), dtype=np.int32)),
                pa.array([f"c{column:04d}r{row:04d}" for column, row in some_chips.tolist()], pa.string()),
                pa.FixedSizeListArray.from_arrays(pa.array(some_vectors.ravel()), type=schema.field("vector").type),
            ]
            batches.append(pa.record_batch(arrays, schema=schema))
            start += len(some_chips)
        if any(batch.num_rows for batch in batches):
            self._table.add(pa.Table.from_batches(batches, schema))

    def needs_training(self) -> bool:
        """Whether there are rows enough, and no index, or one made for far fewer."""
        return self.rows >= INDEX_FROM and self.rows > STALE * self._trained_rows()

    def train(self) -> None:
        """Make the index; half a minute for a continent on two cores."""
        from lancedb.index import IvfRq  # noqa: PLC0415

        if self._table is None:
            return
        settings = IvfRq(
            distance_type="cosine", num_partitions=max(1, self.rows // ROWS_A_PARTITION), max_iterations=ITERATIONS, sample_rate=SAMPLES
        )
        self._table.create_index("vector", config=settings)
        self._note.write_text(str(self.rows))

    def merge(self) -> None:
        """Bring rows that were added since into the index."""
        if self._table is not None and self.is_trained:
            self._table.optimize()

    def candidates(self, query: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """The positions of likely hits, many more than are asked for."""
        if self._table is None:
            return np.empty(0, np.int64)
        search: Any = self._table.search(query)
        search = search.distance_type("cosine").nprobes(PROBES).limit(max(LEAST_CANDIDATES, CANDIDATES * count))
        found = search.select(["position", "_distance"])
        positions: NDArray[np.int64] = found.to_arrow()["position"].to_numpy().astype(np.int64)
        return positions

    def _trained_rows(self) -> int:
        """Rows that the index was made for, or none where it was not finished, or nothing says it."""
        try:
            return int(self._note.read_text()) if self.is_trained else 0
        except (OSError, ValueError):
            return 0


def table_damage(folder: Path, width: int, rows: int, *, needs_index: bool) -> str | None:
    """What shows that the table does not hold so many rows, or can't be searched; None where nothing does."""
    try:
        index = Index(folder, width)
        if index.lacks(rows):
            return "LanceDB's table lacks rows"
        if needs_index and not index.is_trained:
            return "LanceDB's index is gone"
        if index.is_trained and not len(index.candidates(np.ones(width, np.float32), 1)):
            return "LanceDB's index finds nothing"
    except ERRORS:
        return "LanceDB can't read its files"
    return None
