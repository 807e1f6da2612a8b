"""How the pipeline paces its reading and its writing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embedder.console.progress import Progress
from embedder.source.strip import read_strip
from embedder.steps.inspect import Inspected
from embedder.steps.pipeline import Pipeline
from embedder.steps.plan import plan
from embedder.storage import open_storage
from tests.jobs import place_of, plan_options

pytestmark = pytest.mark.usefixtures("scratch")


def test_columns_are_written_while_others_are_read_when_they_have_no_chip(
    source: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod that is killed must lose little, and memory must not grow with the columns behind the last chip."""
    storage, started = open_storage(output), []
    run = plan(storage, plan_options(source, list(range(6, 66))), Progress())

    def counted(*arguments: Any, **options: Any) -> Iterator[Any]:  # noqa: ANN401
        started.append(arguments[3])
        return read_strip(*arguments, **options)

    monkeypatch.setattr("embedder.steps.pipeline.read_strip", counted)
    place = place_of(output)
    nothing = {column: Inspected(key=place.column_key(column), content=None, version=None) for column in run.columns}
    columns = Pipeline(place=place, run=run, found=nothing, device="cpu", progress=SilentProgress())
    embedded = columns.embed([[column] for column in run.columns])
    assert next(embedded).column == 6
    for _ in range(5):
        next(embedded)
    assert len(started) < 30
    assert len(list(embedded)) == 60 - 6


class SilentProgress(Progress):
    """Counts nothing."""

    def chips_done(self, read: int, *, embedded: int) -> None:
        pass
