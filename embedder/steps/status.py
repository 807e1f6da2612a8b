"""Status: what is done, missing and invalid, and whether what is published is still there, from what is stored alone."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from embedder.console.progress import Progress
from embedder.errors import AccessDeniedError, ConfigurationError, CredentialsError, NoListingError, NotFoundError
from embedder.output.column_file import CheckedColumn, count_outcomes
from embedder.output.manifest import PublishedColumn, find_manifest_of
from embedder.output.receipt import Receipt, total
from embedder.output.run import Run, RunPlace
from embedder.steps.finalize import unexpected_files
from embedder.steps.inspect import THREADS, inspect_columns


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of a recipe's year under one output."""

    done: list[int]
    missing: list[int]
    invalid: dict[int, str]
    """What is wrong with each."""
    unexpected: list[str]
    """File names."""
    is_listed: bool
    """Whether the storage can be listed; where not, nobody knows of unexpected files, nor of columns embedded again."""
    published: list[int]
    """Columns in the manifest."""
    newer: list[int]
    """Of these, those with a valid file that was written after the published one: finalize would publish it."""
    altered: dict[int, str]
    """Of these, those whose published file is no longer there, or is another: how readers find it."""
    unreadable_manifest: str | None
    """Why nothing is known of what is published."""
    chips: dict[str, int]
    """Of the columns done, by outcome."""
    receipt: tuple[Receipt, ...]
    """What the columns done cost, for each kind of machine; of those whose files say it."""


def status(place: RunPlace, run: Run, columns: Sequence[int], progress: Progress) -> Status:
    """Read every file of these columns."""
    found = dict(zip(columns, inspect_columns(place, run, columns, progress), strict=True))
    published: dict[int, PublishedColumn] = {}
    unreadable = None
    try:
        if stored := find_manifest_of(place, run):
            published = stored.manifest.columns
    except (AccessDeniedError, CredentialsError):
        raise
    except ConfigurationError as error:
        unreadable = str(error)
    try:
        unexpected, is_listed = unexpected_files(place, columns), True
    except NoListingError:
        unexpected, is_listed = [], False
    valid = {column: file.content for column, file in found.items() if isinstance(file.content, CheckedColumn)}
    as_published = {
        column
        for column, file in valid.items()
        if column in published and (found[column].key, file.sha256) == (place.prefix + published[column].file, published[column].sha256)
    }
    # Where nothing lists, what the manifest names of columns embedded again was not looked at, and is not older.
    other = [column for column in columns if column in published and column not in as_published]
    with ThreadPoolExecutor(THREADS, thread_name_prefix="hash") as pool:
        altered = dict(zip(other, pool.map(lambda column: _alteration(place, published[column]), other), strict=True))
    return Status(
        done=list(valid),
        missing=[column for column, file in found.items() if file.content is None],
        invalid={column: str(file.content) for column, file in found.items() if isinstance(file.content, Exception)},
        unexpected=unexpected,
        is_listed=is_listed,
        published=list(published),
        newer=[column for column in other if is_listed and column in valid and found[column].key != place.prefix + published[column].file],
        altered={column: what for column, what in altered.items() if what},
        unreadable_manifest=unreadable,
        chips=count_outcomes(run, valid.values()),
        receipt=total(file.receipt for file in valid.values() if file.receipt),
    )


def _alteration(place: RunPlace, published: PublishedColumn) -> str | None:
    """What readers find in place of a published file; None where it is there."""
    try:
        data = place.storage.get(place.prefix + published.file).data
    except NotFoundError:
        return f"{published.file} is gone"
    return (
        None if hashlib.sha256(data).hexdigest() == published.sha256 else f"{published.file} holds other bytes than when it was published"
    )
