"""A cache that others have damaged is made anew, or named with what to do, as one on a full disk is."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError
from embedder.explore.search import Question, Searcher
from embedder.explore.vectors import database as database_module
from embedder.explore.vectors.index import Index
from embedder.grid import Chip
from tests.disks import mounted
from tests.explore_output import CHIP, opened, some, write_output

pytestmark = pytest.mark.usefixtures("_own_cache")


def scribble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[::50] = np.random.default_rng(0).bytes(len(data[::50]))
    path.write_bytes(data)


def zero_a_part(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3] + bytes(len(data) // 3) + data[len(data) // 3 * 2 :])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "zeroed in part": zero_a_part,
    "scribbled": scribble,
}


def answers(searcher: Searcher) -> list[tuple[str, float | None]]:
    return [(hit.chip.id, hit.distance) for hit in searcher.search(Question(like=[CHIP], exact=True))]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["vectors.f32", "chips.i16", "record.json"])
def test_made_anew_when_a_file_is_damaged(tmp_path: Path, file: str, damage: str) -> None:
    output = write_output(tmp_path / "out", some(range(2)))
    database = opened(output)
    before = database.vectors(np.arange(40))
    DAMAGES[damage](database.folder / file)
    after = opened(output)
    np.testing.assert_array_equal(after.vectors(np.arange(40)), before)
    np.testing.assert_array_equal(after.chips, [(column, row) for column in range(2) for row in range(20)])
    assert after.rows == Index(after.folder, 768).rows == 40


def test_an_altered_record_is_not_believed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = write_output(tmp_path / "out", some(range(2)))
    record = opened(output).folder / "record.json"
    record.write_text(record.read_text().replace('"start": 20', '"start": 10'))
    assert opened(output).position(CHIP) == 23
    assert f"NOTE: the cache {record.parent} is damaged (record.json was altered): it is made anew" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "damage"),
    [
        ("data/*.lance", "removed"),
        ("data/*.lance", "zeroed"),
        ("data/*.lance", "scribbled"),
        ("_indices/*/*.idx", "removed"),
        ("_indices/*/*.idx", "scribbled"),
        ("_versions/*.manifest", "emptied"),
    ],
)
def test_made_anew_when_the_table_or_its_index_is_damaged(indexed: Searcher, tmp_path: Path, files: str, damage: str) -> None:
    before = answers(indexed)
    for path in indexed.database.folder.glob(f"lance/chips.lance/{files}"):
        DAMAGES[damage](path)
    searcher = Searcher(opened(tmp_path / "out"))
    assert searcher.has_index
    assert answers(searcher) == before
    assert searcher.search(Question(like=[CHIP]))
    assert searcher.has_index, "its index answered"


def test_made_anew_when_the_table_is_gone_and_columns_are_added(tmp_path: Path) -> None:
    shutil.rmtree(opened(write_output(tmp_path / "out", some(range(2)))).folder / "lance")
    database = opened(write_output(tmp_path / "out", some(range(3))))
    assert database.count == Index(database.folder, 768).rows == 60


def test_a_note_of_the_index_that_is_damaged_is_no_reason_to_stop(indexed: Searcher, tmp_path: Path) -> None:
    (indexed.database.folder / "lance" / "trained-rows").write_text("many")
    searcher = Searcher(opened(write_output(tmp_path / "out", some(range(5), 400))))
    assert searcher.has_index
    assert searcher.database.count == 2_000


@pytest.mark.parametrize("value", [0, np.nan, 1e30])
def test_refused_when_a_row_beyond_the_sample_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    monkeypatch.setattr(database_module, "SAMPLED_ROWS", 2)
    output = write_output(tmp_path / "out", some(range(2)))
    database = opened(output)
    rows = np.memmap(database.folder / "vectors.f32", np.float32, "r+", shape=(40, 768))
    rows[30] = value
    rows.flush()
    searcher = Searcher(opened(output))
    damaged = rf"^the cache {database.folder} is damaged \(vectors\.f32\): remove it, and start again$"
    for like in (CHIP, Chip(column=1, row=10, pixels=512)):
        with pytest.raises(ConfigurationError, match=damaged):
            searcher.search(Question(like=[like], exact=True))


def test_refused_when_a_folder_is_in_the_place_of_a_file(tmp_path: Path) -> None:
    output = write_output(tmp_path / "out", some(range(1)))
    path = opened(output).folder / "chips.i16"
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigurationError, match=r"^the cache .*/2020 can't be used \(.*\): remove it, then start again$"):
        opened(output)


def test_refused_when_the_disk_is_full_and_goes_on_when_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = write_output(tmp_path / "out", some(range(2)))
    with mounted(tmp_path / "full", "size=20k"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "full"))
        with pytest.raises(ConfigurationError, match=r"^no space left for the cache .*/2020: make room .*XDG_CACHE_HOME"):
            opened(output)
        subprocess.run(["mount", "-o", "remount,size=20m", str(tmp_path / "full")], check=True)  # noqa: S603, S607 - our own command
        assert opened(output).count == 40


def test_a_terminal_that_is_gone_is_not_the_caches_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_progress: Progress) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(Progress, "column_done", gone)
    with pytest.raises(BrokenPipeError):
        opened(write_output(tmp_path / "out", some(range(2))))
