"""What is done already: files that are there, and are what they must be."""

from collections.abc import Callable
from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.steps.plan import plan
from embedder.storage import ANY
from tests.jobs import COLUMNS, embed_columns, place_of, plan_options, run_job
from tests.run_output import copy

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
    good = place.storage.get(place.column_key(6)).data
    place.storage.put(place.column_key(6), damage(good), replaces=ANY)
    again = run_job(source, output, COLUMNS)
    assert [column.column for column in again.embedded.written] == [6]
    assert place.storage.get(place.column_key(6)).data == good


@pytest.mark.parametrize("other", ["another column's", "another run's"])
def test_a_file_is_written_again_when_it_is_not_its_own(source: Path, output: str, done: Path, tmp_path: Path, other: str) -> None:
    place = copy(done, output)
    good = place.storage.get(place.column_key(6)).data
    wrong = place.storage.get(place.column_key(7)).data
    if other == "another run's":
        elsewhere = place_of(tmp_path / "elsewhere")
        plan(elsewhere.storage, plan_options(source, [6], weights="random:1"), Progress())
        embed_columns(elsewhere, [6])
        wrong = elsewhere.storage.get(elsewhere.column_key(6)).data
    place.storage.put(place.column_key(6), wrong, replaces=ANY)
    assert [column.column for column in embed_columns(place, COLUMNS).written] == [6]
    assert place.storage.get(place.column_key(6)).data == good


def test_only_what_is_missing_is_embedded_when_a_file_is_gone(source: Path, output: str, done: Path) -> None:
    place = copy(done, output)
    (Path(output) / place.column_key(7)).unlink()
    again = run_job(source, output, COLUMNS)
    assert [column.column for column in again.embedded.written] == [7]
    assert again.manifest
