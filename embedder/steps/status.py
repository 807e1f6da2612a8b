"""Status: what is done, missing and invalid, from what is stored alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from embedder.console.progress import Progress
from embedder.output.column_file import OUTCOMES, CheckedColumn
from embedder.output.manifest import find_manifest_of
from embedder.output.run import Run, RunPlace
from embedder.steps.finalize import unexpected_files
from embedder.steps.inspect import inspect_columns


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of a recipe's year under one output."""

    done: list[int]
    missing: list[int]
    invalid: dict[int, str]
    """What is wrong with each."""
    unexpected: list[str]
    """File names."""
    published: list[int]
    """Columns in the manifest."""
    chips: dict[str, int]
    """Of the columns done, by outcome."""


def status(place: RunPlace, run: Run, columns: Sequence[int], progress: Progress) -> Status:
    """Read every file of these columns."""
    found = dict(zip(columns, (file for file, _ in inspect_columns(place, run, columns, progress)), strict=True))
    published = find_manifest_of(place, run)
    done = [file for file in found.values() if isinstance(file, CheckedColumn)]
    return Status(
        done=[file.column for file in done],
        missing=[column for column, file in found.items() if file is None],
        invalid={column: str(file) for column, file in found.items() if isinstance(file, Exception)},
        unexpected=unexpected_files(place, columns),
        published=list(published.manifest.columns) if published else [],
        chips={name: sum(file.outcomes.count(letter) for file in done) for letter, name in OUTCOMES.items()},
    )
