"""A cache that is damaged, or on a disk that is full: named, with what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError
from embedder.explore.search import Question, Searcher
from embedder.grid import Chip
from tests.disks import mounted
from tests.explore_output import opened, some, write_output

pytestmark = pytest.mark.usefixtures("_own_cache")
UNUSABLE = r"^the cache .*/2020 can't be used \(.*\): make room, or remove it, then start again$"


QUESTION = Question(like=[Chip(column=1, row=3, pixels=512)], count=5)


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("files", "harm"),
    [
        ("vectors.f32", zeroed),
        ("vectors.f32", halved),
        ("vectors.f32", Path.unlink),
        ("chips.i16", zeroed),
        ("chips.i16", halved),
        ("lance/chips.lance/_indices/*/index.idx", Path.unlink),
        ("lance/chips.lance/data/*", zeroed),
        ("lance/chips.lance/_versions/*.manifest", halved),
        ("record.json", halved),
    ],
)
def test_a_damaged_cache_is_made_anew(
    indexed: Searcher, tmp_path: Path, files: str, harm: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before = indexed.search(QUESTION)
    for path in indexed.database.folder.glob(files):
        harm(path)
    capsys.readouterr()
    again = Searcher(opened(tmp_path / "out"))
    assert again.has_index
    assert again.search(QUESTION) == before
    assert files == "record.json" or "is damaged: it is made anew" in capsys.readouterr().err


def test_a_damaged_note_of_the_index_does_not_keep_columns_from_being_added(indexed: Searcher, tmp_path: Path) -> None:
    (indexed.database.folder / "lance" / "trained-rows").write_bytes(b"\xff\xfe")
    assert opened(write_output(tmp_path / "out", some(range(5), 400))).count == 2_000


def test_refused_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = write_output(tmp_path / "out", some(range(2)))
    with mounted(tmp_path / "full", "size=20k"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "full"))
        with pytest.raises(ConfigurationError, match=UNUSABLE):
            opened(output)


def test_a_terminal_that_is_gone_is_not_the_caches_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_progress: Progress) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(Progress, "column_done", gone)
    with pytest.raises(BrokenPipeError):
        opened(write_output(tmp_path / "out", some(range(2))))
