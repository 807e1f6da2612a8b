"""The index: extended, and done without where it is gone."""

from dataclasses import replace
from pathlib import Path

import pytest

from embedder.explore.search import Question, Searcher
from embedder.explore.vectors.database import Database
from embedder.grid import Chip
from tests.explore_output import opened, some, write_output

pytestmark = pytest.mark.usefixtures("_own_cache")


def test_every_chip_is_compared_when_another_process_removed_the_index(indexed: Searcher) -> None:
    question = Question(like=[Chip(column=2, row=3, pixels=512)])
    expected = indexed.search(replace(question, exact=True))
    opened_anew = Database(indexed.database.folder, indexed.database.recipe, 2020, indexed.database.record.digest)
    with opened_anew.locked():
        opened_anew.clear()
    assert indexed.search(question) == expected


def test_added_rows_are_found_when_there_is_an_index(indexed: Searcher, tmp_path: Path) -> None:
    assert indexed.database.count == 1_600
    searcher = Searcher(opened(write_output(tmp_path / "out", some(range(5), 400))))
    assert searcher.has_index
    new = {f"c0004r{row:04d}" for row in range(400)}
    found = searcher.search(Question(like=[Chip(column=4, row=9, pixels=512)], count=100))
    exact = searcher.search(Question(like=[Chip(column=4, row=9, pixels=512)], count=100, exact=True))
    assert len({hit.chip.id for hit in found} & {hit.chip.id for hit in exact}) >= 90
    assert new & {hit.chip.id for hit in found}
