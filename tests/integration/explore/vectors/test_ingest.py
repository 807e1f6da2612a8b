"""The cache: filled, resumed, extended, shared."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embedder.console.progress import Progress
from embedder.errors import InvalidFileError
from embedder.explore.search import Question, Searcher
from embedder.explore.vectors import ingest
from embedder.explore.vectors.catalogue import EXPLORABLE, published_years
from embedder.explore.vectors.database import Database
from embedder.explore.vectors.index import Index
from embedder.explore.vectors.ingest import open_database
from embedder.grid import Chip
from embedder.storage import open_storage
from tests.explore_output import Content, opened, some, vectors, write_output

pytestmark = pytest.mark.usefixtures("_own_cache")
OPEN = """
import os, signal, sys
from embedder.explore.vectors import ingest
from embedder.explore.vectors.catalogue import EXPLORABLE, published_years
from embedder.explore.vectors.database import Database
from embedder.console.progress import Progress
from embedder.storage import open_storage
ingest.TOGETHER = 2
added = []
append = Database.append
def dying(self, columns):
    added.append(columns)
    if len(added) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    append(self, columns)
Database.append = dying
(published,) = published_years(open_storage(sys.argv[1]), EXPLORABLE["clay-v0.1"])
print(ingest.open_database(published, Progress()).count)
"""


def assert_whole(database: Database, content: Content) -> None:
    """Each chip once, with its own vector, in the cache and in LanceDB."""
    assert database.count == sum(len(rows) for _, rows in content.values())
    for column, (_, rows) in content.items():
        positions = [database.position(Chip(column=column, row=row, pixels=512)) for row in range(len(rows))]
        assert None not in positions
        expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        np.testing.assert_allclose(database.vectors([position or 0 for position in positions]), expected, atol=1e-6)
    assert Index(database.folder, 768).rows == database.rows


def test_vectors_are_whole_when_the_system_reads_a_part_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = some(range(2))
    database = opened(write_output(tmp_path / "out", content))

    def part(file: int, buffers: list[memoryview], offset: int) -> int:  # as Linux does beyond 2 GiB
        data = os.pread(file, min(5_000, len(buffers[0])), offset)
        buffers[0][: len(data)] = data
        return len(data)

    monkeypatch.setattr(os, "preadv", part)
    assert_whole(database, content)


def test_the_second_start_reads_no_file(tmp_path: Path) -> None:
    output = write_output(tmp_path / "out", some(range(3)))
    opened(output)
    for path in output.rglob("*.parquet"):
        path.unlink()
    assert opened(output).count == 60


def test_added_columns_are_added_and_others_stay_where_they_are(tmp_path: Path) -> None:
    content = some(range(4))
    first = opened(write_output(tmp_path / "out", {column: content[column] for column in (0, 2)}))
    both = opened(write_output(tmp_path / "out", content))
    assert_whole(both, content)
    assert {column: both.record.columns[column] for column in (0, 2)} == first.record.columns


def test_a_replaced_column_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    content = dict(some(range(3)))
    opened(write_output(tmp_path / "out", content))
    content[1] = ("e" * 15, vectors(77, 15))
    database = opened(write_output(tmp_path / "out", content))
    assert_whole(database, content)
    hits = Searcher(database).search(Question(like=[Chip(column=1, row=3, pixels=512)], count=1000))
    assert len({hit.chip for hit in hits}) == len(hits) == 54


def test_everything_is_loaded_anew_when_the_run_is_another(tmp_path: Path) -> None:
    opened(write_output(tmp_path / "out", some(range(3))))
    content = some(range(1, 3), seed=1)
    database = opened(write_output(tmp_path / "out", content, weights="others"))
    assert_whole(database, content)
    assert database.rows == 40


@pytest.mark.parametrize("group", [1, 2])
def test_loading_goes_on_when_it_was_killed(tmp_path: Path, group: int) -> None:
    content = some(range(5))
    output = write_output(tmp_path / "out", content)
    killed = subprocess.run([sys.executable, "-c", OPEN, str(output), str(group)], capture_output=True, timeout=60, check=False)  # noqa: S603 - our own code
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert_whole(opened(output), content)


def test_each_row_is_loaded_once_when_two_processes_load(tmp_path: Path) -> None:
    content = some(range(9))
    output = write_output(tmp_path / "out", content)
    command = [sys.executable, "-c", OPEN, str(output), "0"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]  # noqa: S603 - our own code
    answers = [process.communicate(timeout=60) for process in both]
    assert [answer[0].strip() for answer in answers] == ["180", "180"], answers
    assert_whole(opened(output), content)


def test_a_file_that_the_manifest_does_not_name_is_refused(tmp_path: Path) -> None:
    output = write_output(tmp_path / "out", some(range(1)))
    (path,) = output.rglob("*.parquet")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InvalidFileError, match="is not the file that the manifest names"):
        opened(output)


def test_chips_of_256_pixels_are_found(tmp_path: Path) -> None:
    database = opened(write_output(tmp_path / "out", some(range(7, 9), recipe="clay-v1.5"), recipe="clay-v1.5"), "clay-v1.5")
    assert [database.chip(position).id for position in (0, 1, 2, 20)] == ["c0014r0000", "c0015r0000", "c0014r0001", "c0016r0000"]
    assert len(Searcher(database).search(Question(like=[database.chip(5)], count=1000))) == 39


def test_a_damaged_record_is_made_anew(tmp_path: Path) -> None:
    content = some(range(2))
    output = write_output(tmp_path / "out", content)
    (opened(output).folder / "record.json").write_text("{")
    assert_whole(opened(output), content)


def test_a_column_without_a_chip_is_no_reason_to_load_again(tmp_path: Path) -> None:
    content: Content = {5: ("ttt", np.empty((0, 768), np.float32)), 6: ("e", vectors(1, 1))}
    output = write_output(tmp_path / "out", content)
    assert opened(output).count == 1
    assert ingest._is_current(opened(output), published_years(open_storage(str(output)), EXPLORABLE["clay-v0.1"])[0])


def test_an_output_in_a_bucket_is_read(tmp_path: Path, bucket: str) -> None:
    content = some(range(2))
    folder = write_output(tmp_path / "out", content)
    storage = open_storage(f"s3://{bucket}/here")
    for path in (each for each in folder.rglob("*.*") if each.is_file()):
        storage.put(path.relative_to(folder).as_posix(), path)
    (published,) = published_years(storage, EXPLORABLE["clay-v0.1"])
    assert_whole(open_database(published, Progress()), content)
