"""What the columns' files hold, found by reading them: names prove nothing."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from embedder.console.progress import Progress
from embedder.errors import InvalidFileError, NoListingError, NotFoundError
from embedder.output import column_file
from embedder.output.column_file import CheckedColumn
from embedder.output.run import Run, RunPlace

THREADS = 16


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """The file that counts of a column: of several, the valid one that was written last."""

    key: str
    content: CheckedColumn | InvalidFileError | None
    """What it holds, or what is wrong with it, or None where there is none."""
    version: str | None


def inspect_columns(place: RunPlace, run: Run, columns: Sequence[int], progress: Progress) -> Iterator[Inspected]:
    """The file of each column; many are read at a time."""
    forced: dict[int, list[str]] = {}
    with suppress(NoListingError):  # of public data, which nobody but status reads here
        for listed in place.storage.list(place.forced_prefix):
            if (column := place.column_of_forced(listed.key)) is not None:
                forced.setdefault(column, []).insert(0, listed.key)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="inspect") as pool, progress.task("check files", columns=len(columns)):
        for found in pool.map(lambda column: inspect_column(place, run, column, forced.get(column, ())), columns):
            progress.column_done()
            yield found


def missing_columns(place: RunPlace, run: Run, columns: Sequence[int], progress: Progress) -> list[int]:
    """Those of the columns that have no valid file."""
    found = inspect_columns(place, run, columns, progress)
    return [column for column, file in zip(columns, found, strict=True) if not isinstance(file.content, CheckedColumn)]


def inspect_column(place: RunPlace, run: Run, column: int, forced: Sequence[str] = ()) -> Inspected:
    """The file of one column, of those forced (the latest first) and the one first written."""
    for key in (*forced, place.column_key(column)):
        found = _inspect_file(place, run, column, key)
        if isinstance(found.content, CheckedColumn):
            break
    return found


def _inspect_file(place: RunPlace, run: Run, column: int, key: str) -> Inspected:
    try:
        stored = place.storage.get(key)
    except NotFoundError:
        return Inspected(key=key, content=None, version=None)
    content: CheckedColumn | InvalidFileError
    try:
        content = column_file.check(stored.data, run, column)
    except InvalidFileError as error:
        content = error
    return Inspected(key=key, content=content, version=stored.version)
