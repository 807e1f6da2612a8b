"""What the explorer's tests share: a cache of their own, an index, and an explorer of two years."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.explore import search
from embedder.explore.explorer import Explorer, open_explorer
from embedder.explore.search import Searcher
from embedder.explore.vectors import index, ingest
from tests.explore_output import opened, some, vectors, write_output


@pytest.fixture
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searcher:
    monkeypatch.setattr(index, "INDEX_FROM", 1_000)
    monkeypatch.setattr(search, "INDEX_FROM", 1_000)
    monkeypatch.setattr(ingest, "INDEX_FROM", 1_000)
    searcher = Searcher(opened(write_output(tmp_path / "out", some(range(4), 400))))
    assert searcher.has_index
    return searcher


@pytest.fixture(scope="package")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    folder = tmp_path_factory.mktemp("explore")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        before, after = dict(some(range(4))), dict(some(range(4)))
        after[2] = ("e" * 20, vectors(50, 20))
        before[9] = ("eentteo", vectors(9, 3))
        write_output(folder / "out", before, weights="random:0")
        write_output(folder / "out", after, year=2021, weights="random:0")
        yield open_explorer(str(folder / "out"), "clay-v0.1", [], Progress())
