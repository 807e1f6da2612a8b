"""What is done already: files that are there, and are what they must be."""

from collections.abc import Callable
from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.steps.plan import plan
from tests.jobs import COLUMNS, embed_columns, place_of, plan_options, run_job
from tests.run_output import copy, rewrite, rows

pytestmark = pytest.mark.usefixtures("scratch")


def corrupted(data: bytes) -> bytes:
    return data[:200] + bytes([data[200] ^ 1]) + data[201:]


WRONG_FILES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[: len(data) - 100],
    "corrupted": corrupted,
    "empty": lambda _: b"",
    "no parquet": lambda _: b"PAR1 is how it begins",
}


@pytest.mark.parametrize("damage", WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_file_is_written_again_when_it_is_damaged(source: Path, output: str, done: Path, damage: Callable[[bytes], bytes]) -> None:
    place = copy(done, output)
    rewrite(place, 6, damage)
    again = run_job(source, output, COLUMNS)
    assert [column.column for column in again.embedded.written] == [6]
    assert rows(place, 6) == rows(place_of(done), 6)


@pytest.mark.parametrize("other", ["another column's", "another run's"])
def test_a_file_is_written_again_when_it_is_not_its_own(source: Path, output: str, done: Path, tmp_path: Path, other: str) -> None:
    place = copy(done, output)
    wrong = place.storage.get(place.column_key(7)).data
    if other == "another run's":
        elsewhere = place_of(tmp_path / "elsewhere")
        plan(elsewhere.storage, plan_options(source, [6], weights="random:1"), Progress())
        embed_columns(elsewhere, [6])
        wrong = elsewhere.storage.get(elsewhere.column_key(6)).data
    rewrite(place, 6, lambda _: wrong)
    assert [column.column for column in embed_columns(place, COLUMNS).written] == [6]
    assert rows(place, 6) == rows(place_of(done), 6)


def test_only_what_is_missing_is_embedded_when_a_file_is_gone(source: Path, output: str, done: Path) -> None:
    place = copy(done, output)
    (Path(output) / place.column_key(7)).unlink()
    again = run_job(source, output, COLUMNS)
    assert [column.column for column in again.embedded.written] == [7]
    assert again.manifest
