"""Status of what can be read and not listed."""

from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.output.run import RunPlace
from embedder.steps.status import status
from embedder.storage import open_readable
from tests.jobs import COLUMNS, TINY, run_job
from tests.run_output import copy
from tests.web_server import serving

pytestmark = pytest.mark.usefixtures("scratch")


def test_status_says_that_nothing_lists_and_all_else_that_it_can(done: Path) -> None:
    with serving(done) as address:
        place = RunPlace(storage=open_readable(address), recipe=TINY, year=2020)
        found = status(place, place.load(), [*COLUMNS, 9], Progress())
    assert not found.is_listed
    assert found.done == found.published == COLUMNS
    assert found.missing == [9]
    assert (found.unexpected, found.altered, found.unreadable_manifest) == ([], {}, None)


def test_what_was_embedded_again_counts_as_published_though_nothing_lists(done: Path, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "again"
    copy(done, output)
    run_job(source, output, [6], force=True)
    with serving(output) as address:
        place = RunPlace(storage=open_readable(address), recipe=TINY, year=2020)
        found = status(place, place.load(), COLUMNS, Progress())
    assert found.published == COLUMNS
    assert (found.altered, found.newer) == ({}, [])
