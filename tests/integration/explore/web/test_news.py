"""Columns that are published while the page is open."""

from itertools import count
from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.explore.explorer import open_explorer, unread
from embedder.explore.pictures.pictures import Pictures
from embedder.explore.web import news
from embedder.explore.web.news import News
from tests.explore_output import some, write_output
from tests.explore_site import get, served

pytestmark = pytest.mark.usefixtures("_own_cache")


def test_new_columns_are_counted_and_loaded_without_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "LEAST_SECONDS", 0)
    output = str(write_output(tmp_path / "out", some(range(2))))
    explorer = open_explorer(output, "clay-v0.1", [], Progress())
    told = News(
        explorer=explorer, count=lambda: unread(explorer, output, []), reopen=lambda: open_explorer(output, "clay-v0.1", [], Progress())
    )
    with served(explorer, Pictures(tmp_path / "pictures", None, None), news=told) as url:
        before = get(f"{url}/api/coverage?year=2020")[2]
        assert get(f"{url}/api/news")[2] == {"columns": 0}
        write_output(tmp_path / "out", some(range(4)))
        assert get(f"{url}/api/news")[2] == {"columns": 2}
        assert get(f"{url}/api/info")[2]["years"][0]["chips"] == 40
        assert get(f"{url}/api/load")[2] == {"columns": 0}
        assert get(f"{url}/api/info")[2]["years"][0]["chips"] == 80
        assert get(f"{url}/api/coverage?year=2020")[2] != before
        assert get(f"{url}/api/news")[2] == {"columns": 0}


def test_manifests_are_not_read_for_each_page_that_asks(tmp_path: Path) -> None:
    explorer = open_explorer(str(write_output(tmp_path / "out", some(range(1)))), "clay-v0.1", [], Progress())
    looks = count(1)
    told = News(explorer=explorer, count=lambda: next(looks), reopen=lambda: explorer)
    assert [told.columns() for _ in range(3)] == [1, 1, 1]
