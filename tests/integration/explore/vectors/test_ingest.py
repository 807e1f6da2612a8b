"""The cache: filled, resumed, extended, shared; and searched as exactly as numpy would."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from numpy.typing import NDArray

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, InvalidFileError, UsageError
from embedder.explore import search
from embedder.explore.recall import measure
from embedder.explore.search import Question, Searcher, changes
from embedder.explore.vectors import index, ingest
from embedder.explore.vectors.catalogue import EXPLORABLE, V002, published_years
from embedder.explore.vectors.database import Database
from embedder.explore.vectors.index import Index
from embedder.explore.vectors.ingest import open_database
from embedder.grid import Bounds, Chip
from embedder.storage import open_storage
from tests.explore_output import Content, some, vectors, write_output

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


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def opened(output: Path, recipe: str = "clay-v0.1", year: int = 2020) -> Database:
    (published,) = published_years(open_storage(str(output)), EXPLORABLE[recipe], [year])
    return open_database(published, Progress())


def truth(content: Content, column: int, place: int, count: int) -> list[tuple[str, float]]:
    """The nearest chips to the `place`th of a column, and their distances, by numpy in double precision."""
    ids = [f"c{number:04d}r{row:04d}" for number, (_, rows) in content.items() for row in range(len(rows))]
    every = np.concatenate([rows for _, rows in content.values()]).astype(np.float64)
    every /= np.linalg.norm(every, axis=1, keepdims=True)
    own = ids.index(f"c{column:04d}r{place:04d}")
    distances = 1 - every @ every[own]
    return [(ids[found], distances[found]) for found in np.argsort(distances, kind="stable") if found != own][:count]


def assert_whole(database: Database, content: Content) -> None:
    """Each chip once, with its own vector, in the cache and in LanceDB."""
    assert database.count == sum(len(rows) for _, rows in content.values())
    for column, (_, rows) in content.items():
        positions = [database.position(Chip(column=column, row=row, pixels=512)) for row in range(len(rows))]
        assert None not in positions
        expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        np.testing.assert_allclose(database.vectors([position or 0 for position in positions]), expected, atol=1e-6)
    assert Index(database.folder, 768).rows == database.rows


def test_hits_are_those_of_numpy_when_there_is_no_index(tmp_path: Path) -> None:
    content = some(range(100, 105))
    searcher = Searcher(opened(write_output(tmp_path / "out", content)))
    hits = searcher.search(Question(like=[Chip(column=102, row=3, pixels=512)], count=10))
    expected = truth(content, 102, 3, 10)
    assert [hit.chip.id for hit in hits] == [name for name, _ in expected]
    assert [hit.distance for hit in hits] == pytest.approx([distance for _, distance in expected], abs=2e-6)
    assert [hit.rank for hit in hits] == list(range(1, 11))


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


def test_nothing_published_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing is published for 2020, 2021 at .*make demo"):
        published_years(open_storage(str(tmp_path)), EXPLORABLE["clay-v0.1"])


def test_chips_of_256_pixels_are_found(tmp_path: Path) -> None:
    database = opened(write_output(tmp_path / "out", some(range(7, 9), recipe="clay-v1.5"), recipe="clay-v1.5"), "clay-v1.5")
    assert [database.chip(position).id for position in (0, 1, 2, 20)] == ["c0014r0000", "c0015r0000", "c0014r0001", "c0016r0000"]
    assert len(Searcher(database).search(Question(like=[database.chip(5)], count=1000))) == 39


@pytest.mark.parametrize("prefix", ["v002/", ""])
def test_the_published_v002_files_are_read(tmp_path: Path, prefix: str) -> None:
    folder = tmp_path / prefix / "2020"
    folder.mkdir(parents=True)
    content = vectors(5, 12)
    boxes = [shapely.box(*vars(Chip(column=42, row=300 + row, pixels=512).bounds).values()) for row in range(12)]
    table = pa.table({"embeddings": pa.array(list(content), pa.list_(pa.float32())), "geometry": pa.array(shapely.to_wkb(boxes))})
    pq.write_table(table, folder / "worldcover_embeddings_2020_42_v002.gpq", compression="zstd")
    (published,) = published_years(open_storage(str(tmp_path)), V002)
    assert "raw pixels" in (published.warning or "")
    database = open_database(published, Progress())
    assert [database.chip(position).id for position in (0, 11)] == ["c0042r0300", "c0042r0311"]
    np.testing.assert_allclose(database.vectors([7])[0], content[7] / np.linalg.norm(content[7]), atol=1e-6)


@pytest.fixture
def indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searcher:
    monkeypatch.setattr(index, "INDEX_FROM", 1_000)
    monkeypatch.setattr(search, "INDEX_FROM", 1_000)
    searcher = Searcher(opened(write_output(tmp_path / "out", some(range(4), 400))))
    assert searcher.has_index
    return searcher


def test_the_index_finds_nearly_all_when_measured(indexed: Searcher) -> None:
    measured = measure(indexed, 30)
    assert measured.has_index
    assert measured.recall >= 0.95


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


def test_a_small_box_is_answered_in_full_when_there_is_an_index(indexed: Searcher) -> None:
    corner = Chip(column=2, row=100, pixels=512).bounds
    inside = Bounds(west=corner.west + 0.001, east=corner.east - 0.001, north=corner.north - 0.001, south=corner.south - 0.1)
    hits = indexed.search(Question(like=[Chip(column=0, row=0, pixels=512)], count=10, bounds=inside))
    assert sorted(hit.chip.id for hit in hits) == ["c0002r0100", "c0002r0101", "c0002r0102", "c0002r0103"][: len(hits)]
    assert len(hits) == 4 - (corner.south - 0.1 >= Chip(column=2, row=103, pixels=512).bounds.north)


def test_hits_are_unlike_the_negative_examples(tmp_path: Path) -> None:
    content = some(range(2), 100)
    searcher = Searcher(opened(write_output(tmp_path / "out", content)))
    like, unlike = [Chip(column=0, row=1, pixels=512), Chip(column=0, row=2, pixels=512)], [Chip(column=1, row=5, pixels=512)]
    hits = searcher.search(Question(like=like, unlike=unlike, count=20))
    every = np.concatenate([rows for _, rows in content.values()]).astype(np.float64)
    every /= np.linalg.norm(every, axis=1, keepdims=True)
    query: NDArray[np.float64] = every[[1, 2]].mean(axis=0) - 0.5 * every[105]
    scores = every @ (query / np.linalg.norm(query))
    order = [place for place in np.argsort(-scores) if place not in {1, 2, 105}][:20]
    assert [hit.chip.id for hit in hits] == [f"c{place // 100:04d}r{place % 100:04d}" for place in order]
    with pytest.raises(UsageError, match="both like and unlike"):
        searcher.search(Question(like=like, unlike=like))


def test_change_ranks_the_chips_of_both_years(tmp_path: Path) -> None:
    before, after = dict(some(range(2))), dict(some(range(1, 3)))
    changed = before[1][1].copy()
    changed[7] = -changed[7]
    changed[3] = vectors(99, 1)[0]
    after[1] = ("e" * 20, changed)
    write_output(tmp_path / "out", before)
    output = write_output(tmp_path / "out", after, year=2021)
    hits = changes(opened(output), opened(output, year=2021), 5)
    assert [hit.chip.id for hit in hits[:2]] == ["c0001r0007", "c0001r0003"]
    assert hits[0].distance == pytest.approx(2, abs=1e-5)
    assert all(hit.distance < 1e-5 for hit in hits[2:])
    assert {hit.year for hit in hits} == {2021}


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
