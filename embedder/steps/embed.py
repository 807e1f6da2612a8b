"""Embed: write the files of some columns, except those that are there and valid."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, SourceError
from embedder.grid import chips_in_column
from embedder.output.column_file import CheckedColumn
from embedder.output.run import Run, RunPlace
from embedder.source.footprint import starts_block
from embedder.steps.inspect import Inspected, inspect_columns
from embedder.steps.pipeline import FailedColumn, Pipeline

MOST_SHORT = 32
"""Columns of an area together: more than a degree is wide, and half of what one process may read as a strip."""


@dataclass(frozen=True, kw_only=True)
class EmbedResult:
    """What became of each column."""

    written: list[CheckedColumn] = field(default_factory=list)
    skipped: list[CheckedColumn] = field(default_factory=list)
    """Finished before."""
    failed: dict[int, SourceError] = field(default_factory=dict)
    """Their tiles cannot be used."""

    def raise_failures(self) -> None:
        """ConfigurationError, with the first column's error, where any failed."""
        if self.failed:
            column, error = next(iter(self.failed.items()))
            others = f" ({len(self.failed) - 1} other columns failed too)" if len(self.failed) > 1 else ""
            raise ConfigurationError(f"column {column}: {error}{others}") from error


def embed(
    place: RunPlace,
    run: Run,
    columns: Sequence[int],
    progress: Progress,
    *,
    force: bool = False,
    device: str = "auto",
    columns_together: int | None = None,
) -> EmbedResult:
    """Write the files of these columns, except those that are there and valid.

    `columns_together` adjacent columns are read as one strip; None takes what suits the device. A column whose tiles are
    wrong is reported in the result, and the others go on; any other trouble raises at once.
    """
    place.check_current(run)
    result = EmbedResult()
    to_do: dict[int, Inspected] = {}
    for column, found in zip(columns, inspect_columns(place, run, columns, progress), strict=True):
        if isinstance(found.content, CheckedColumn) and not force:
            result.skipped.append(found.content)
        else:
            to_do[column] = found
    letters = [run.foreseen(column) for column in to_do]
    to_read = sum(of_column.count("e") for of_column in letters)
    pipeline = Pipeline(place=place, run=run, found=to_do, device=device, progress=progress)
    if to_read:
        pipeline.start()
    tallest = max((len(of_column) - of_column.count("o") for of_column in letters), default=0)
    together = columns_together or (_best_together(device, tallest / chips_in_column(run.recipe.chip_pixels)) if to_read else 1)
    with progress.task("embed", columns=len(to_do), chips=to_read):
        for done in pipeline.embed(list(adjacent(list(to_do), together, aligned=not columns_together))):
            progress.column_done()
            if isinstance(done, FailedColumn):
                result.failed[done.column] = done.error
                progress.say(f"column {done.column} failed: {done.error}")
            else:
                result.written.append(done)
    return result


def adjacent(columns: Sequence[int], most: int, *, aligned: bool = False) -> Iterator[list[int]]:
    """Columns in groups of neighbours, at most `most` in each; if aligned, a group ends before `most` where blocks do, if any do."""
    group: list[int] = []
    for column in sorted(columns):
        if group and column != group[-1] + 1:
            yield group
            group = []
        elif len(group) == most:
            cuts = (cut for cut in range(most, 0, -1) if starts_block(group[0] + cut)) if aligned else iter(())
            cut = next(cuts, most)
            yield group[:cut]
            group = group[cut:]
        group.append(column)
    if group:
        yield group


def _best_together(device: str, height: float) -> int:
    """Eight where a GPU would wait for the reading; two whole columns on a CPU, where a kill would cost more than the reading saves.

    Of an area a column is `height` of a whole one, and as many more together cost a kill no more: a degree's blocks are all read once.
    """
    from embedder.models.encoder import resolve_device  # noqa: PLC0415 - imports torch

    return max(8 if resolve_device(device).type == "cuda" else 2, min(int(2 / height), MOST_SHORT))
