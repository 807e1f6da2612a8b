"""Which pictures a run has, and which years are compared."""

from dataclasses import replace
from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, EmbedderError, NotFoundError
from embedder.explore.explorer import Explorer, PictureOptions, open_explorer
from embedder.source.inventory import PUBLIC_SOURCE
from tests.explore_output import CHIP, a_run, some, write_output


def test_esa_s_wms_is_asked_only_for_its_own_ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    explorer = open_explorer(str(write_output(tmp_path / "out", some(range(1)))), "clay-v0.1", [], Progress())
    for source, has_wms in ((PUBLIC_SOURCE, True), (str(tmp_path), False)):
        run = replace(a_run(explorer.recipe, 2020, "none"), source=source)
        explorer.published[2020] = replace(explorer.published[2020], run=run)
        assert bool(explorer.pictures(PictureOptions())._from_wms) == has_wms
        assert explorer.pictures(PictureOptions(wms="https://host/wms"))._from_wms


def test_the_page_opens_without_the_run_s_tiles_when_their_folder_is_gone(
    explorer: Explorer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replace(a_run(explorer.recipe, 2020, "none"), source=str(tmp_path / "gone"))
    monkeypatch.setitem(explorer.published, 2020, replace(explorer.published[2020], run=run))
    found = explorer.pictures(PictureOptions())
    assert f"no pictures from the run's tiles: source {tmp_path / 'gone'} is not a folder" in capsys.readouterr().err
    with pytest.raises(NotFoundError, match="there is no WMS, and there is no source"):
        found.get(CHIP, 2020)
    with pytest.raises(ConfigurationError, match="check --source"):
        PictureOptions(source=str(tmp_path / "gone"))


def test_years_of_different_weights_are_not_compared(explorer: Explorer) -> None:
    runs = {year: a_run(explorer.recipe, year, f"random:{year}") for year in (2020, 2021)}
    published = [replace(each, run=runs[each.year]) for each in explorer.published.values()]
    mixed = Explorer(explorer.recipe, published, explorer.searchers)
    with pytest.raises(EmbedderError, match="embedded with different weights"):
        mixed.changes(2020, 2021, 5)
