"""Bring the cache to what is published: new columns are added, changed ones replaced, everything else is left as it is."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from embedder.console.progress import Progress
from embedder.explore.vectors.catalogue import Published
from embedder.explore.vectors.column_rows import ColumnRows, read_column
from embedder.explore.vectors.database import Database, folder_of
from embedder.explore.vectors.index import INDEX_FROM, Index, cache_errors_at, table_damage

TOGETHER = 32
"""Columns that are read at a time and committed together: some 60 MB."""
THREADS = 4
DONE = "indexed"
"""The file that says that the index has been brought up to the record."""


def open_database(published: Published, progress: Progress) -> Database:
    """The cache of a recipe and year, holding exactly what is published. Opens at once where it does already."""
    database = Database(folder_of(published), published.recipe, published.year, published.digest)
    if _is_current(database, published) and not (database.count >= INDEX_FROM and _damage(database)):  # fewer are searched without LanceDB
        return database
    with database.locked() as waited:
        if waited:
            progress.say("another process was adding columns to the same cache")
        if damage := _damage(database):
            progress.say(f"NOTE: the cache {database.folder} is damaged ({damage}): it is made anew")
            with cache_errors_at(database.folder):
                database.clear()
        if not _is_current(database, published):
            _bring_up(database, published, progress)
    database.reload()
    return database


def _is_current(database: Database, published: Published) -> bool:
    stored = {column: kept.identity for column, kept in database.record.columns.items()}
    wanted = {column: file.identity for column, file in published.columns.items()}
    return database.record.digest == published.digest and stored == wanted and (database.folder / DONE).exists()


def _damage(database: Database) -> str | None:
    """What shows that the cache is not what was written; None where nothing does."""
    needs_index = database.count >= INDEX_FROM and (database.folder / DONE).exists()
    return database.damage or table_damage(database.folder, database.recipe.width, database.rows, needs_index=needs_index)


def _bring_up(database: Database, published: Published, progress: Progress) -> None:
    with cache_errors_at(database.folder):
        index = _without_the_rest(database, published)
    missing = [
        column
        for column, file in published.columns.items()
        if column not in database.record.columns or database.record.columns[column].identity != file.identity
    ]
    with progress.task(f"load {published.year}", columns=len(missing)):
        for columns in _groups(missing, TOGETHER):
            with ThreadPoolExecutor(THREADS, thread_name_prefix="load") as pool:
                contents = list(pool.map(partial(read_column, published), columns))
            with cache_errors_at(database.folder):
                _add(database, index, {column: published.columns[column].identity for column in columns}, contents)
            for _ in columns:
                progress.column_done()
    with cache_errors_at(database.folder):
        database.reload()
        needs_training = index.needs_training()
    if needs_training:
        progress.say(f"making the search index of {published.year}, once: a minute or so for a continent on two cores")
    with cache_errors_at(database.folder):
        if needs_training:
            index.train()
        else:
            index.merge()
        (database.folder / DONE).touch()


def _without_the_rest(database: Database, published: Published) -> Index:
    """The database's index, both without what is not published, or was not written to its end."""
    record = database.record
    gone = record.columns.keys() - published.columns.keys()
    if record.digest != published.digest or gone or database.rows > 2 * max(database.count, 1):
        database.clear()  # another run's vectors, or more replaced rows than live ones
    database.cut()
    (database.folder / DONE).unlink(missing_ok=True)
    index = Index(database.folder, database.recipe.width)
    index.cut(database.rows)
    return index


def _add(database: Database, index: Index, identities: dict[int, str], contents: list[ColumnRows]) -> None:
    # LanceDB first: rows that it has and the record does not know are cut off at the next start.
    index.add(database.rows, [content.chips for content in contents], [content.vectors for content in contents])
    database.append({column: (identity, content) for (column, identity), content in zip(identities.items(), contents, strict=True)})


def _groups(columns: list[int], size: int) -> Iterator[list[int]]:
    for first in range(0, len(columns), size):
        yield columns[first : first + size]
