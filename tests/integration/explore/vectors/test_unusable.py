"""A cache that is damaged, or on a disk that is full: named, with what to do."""

from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError
from embedder.explore.search import Searcher
from embedder.explore.vectors.database import Database
from tests.disks import mounted
from tests.explore_output import opened, some, write_output

pytestmark = pytest.mark.usefixtures("_own_cache")
UNUSABLE = r"^the cache .*/2020 can't be used \(.*\): make room, or remove it, then start again$"


def damage(database: Database) -> None:
    for path in (database.folder / "lance").rglob("*.manifest"):
        path.write_bytes(b"no manifest of LanceDB's")


def test_refused_when_the_table_is_damaged_and_columns_are_added(tmp_path: Path) -> None:
    damage(opened(write_output(tmp_path / "out", some(range(2)))))
    with pytest.raises(ConfigurationError, match=UNUSABLE):
        opened(write_output(tmp_path / "out", some(range(3))))


def test_refused_when_the_table_of_an_index_is_damaged(indexed: Searcher) -> None:
    damage(indexed.database)
    with pytest.raises(ConfigurationError, match=UNUSABLE):
        Searcher(indexed.database)


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
