"""What status counts."""

from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.output.run import RunPlace
from embedder.steps.status import status
from tests.jobs import COLUMNS
from tests.run_output import rewrite, with_column_nobody_planned

pytestmark = pytest.mark.usefixtures("scratch")


def test_status_counts_what_is_done_missing_invalid_unexpected_and_published(embedded: RunPlace) -> None:
    rewrite(embedded, 6, lambda data: data[:-9])
    (Path(embedded.storage.url) / embedded.column_key(7)).unlink()
    with_column_nobody_planned(embedded)
    found = status(embedded, embedded.load(), [*COLUMNS, 9], Progress())
    assert found.done == [5, 8]
    assert found.missing == [7, 9]
    assert list(found.invalid) == [6]
    assert found.unexpected == ["worldcover_embeddings_2020_0100.parquet"]
    assert found.published == [5, 6]
    assert found.chips["embedded"] == 0
    assert sum(found.chips.values()) == 2 * 2344
