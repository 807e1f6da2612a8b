"""What the columns' files hold, found by reading them: names prove nothing."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from embedder.console.progress import Progress
from embedder.errors import InvalidFileError, NotFoundError
from embedder.output import column_file
from embedder.output.column_file import CheckedColumn
from embedder.output.run import Run, RunPlace

Inspected = tuple[CheckedColumn | InvalidFileError | None, str | None]
"""What a column's file holds, or what is wrong with it, or None where there is none; and the file's version."""

THREADS = 16


def inspect_columns(place: RunPlace, run: Run, columns: Sequence[int], progress: Progress) -> Iterator[Inspected]:
    """What the file of each column holds, and its version; many are read at a time."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="inspect") as pool, progress.task("check files", columns=len(columns)):
        for found in pool.map(lambda column: inspect_column(place, run, column), columns):
            progress.column_done()
            yield found


def missing_columns(place: RunPlace, run: Run, columns: Sequence[int], progress: Progress) -> list[int]:
    """Those of the columns that have no valid file."""
    found = inspect_columns(place, run, columns, progress)
    return [column for column, (file, _) in zip(columns, found, strict=True) if not isinstance(file, CheckedColumn)]


def inspect_column(place: RunPlace, run: Run, column: int) -> Inspected:
    """What the column's file holds, and its version."""
    try:
        stored = place.storage.get(place.column_key(column))
    except NotFoundError:
        return None, None
    try:
        return column_file.check(stored.data, run, column), stored.version
    except InvalidFileError as error:
        return error, stored.version
