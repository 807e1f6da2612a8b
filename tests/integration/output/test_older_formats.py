"""A run of format 1, as the first version left it: it is read by whoever looks at it, and nothing is added to it."""

import shutil
from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError
from embedder.explore.explorer import open_explorer
from embedder.explore.places import parse_chips
from embedder.explore.search import Question
from embedder.grid import Tile, Window
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES
from embedder.steps.embed import embed
from embedder.steps.finalize import finalize
from embedder.steps.plan import PlanOptions, plan
from embedder.steps.status import status
from embedder.storage import open_storage
from tests.golden import FORMAT_1
from tests.tiles import write_tile
from workflows.submission import is_anything_missing

REFUSED = r"clay-v0.1/2020/ holds a run of an older version \(record format 1, .*: use another --output$"


@pytest.fixture
def place(tmp_path: Path) -> RunPlace:
    shutil.copytree(FORMAT_1, tmp_path / "output")
    return RunPlace(storage=open_storage(str(tmp_path / "output")), recipe=RECIPES["clay-v0.1"], year=2020)


def contents(place: RunPlace) -> dict[str, bytes]:
    return {listed.key: place.storage.get(listed.key).data for listed in place.storage.list()}


def test_status_reads_every_file(place: RunPlace) -> None:
    found = status(place, place.load(), [74, 75, 76], Progress())
    assert (found.done, found.missing, found.invalid, found.unexpected, found.published) == ([74, 75], [76], {}, [], [74, 75])
    assert found.chips["embedded"] == 8


def test_a_search_finds_its_chips(place: RunPlace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    searcher = open_explorer(place.storage.url, "clay-v0.1", [], Progress()).searcher(2020)
    hits = searcher.search(Question(like=parse_chips(["c0074r0309"], 512), unlike=[], count=10))
    assert len(hits) == 7
    assert {hit.chip.column for hit in hits} == {74, 75}


def test_plan_refuses_it_and_writes_nothing(place: RunPlace, tmp_path: Path) -> None:
    write_tile(tmp_path / "source", Tile.from_name("N36W122"), Window(x=0, y=0, width=16, height=16))
    before = contents(place)
    options = PlanOptions(recipe=place.recipe, year=2020, columns=[74], source=str(tmp_path / "source"), weights="random:0")
    with pytest.raises(ConfigurationError, match=REFUSED):
        plan(place.storage, options, Progress())
    assert contents(place) == before


@pytest.mark.parametrize("force", [False, True])
def test_embed_refuses_it_and_writes_nothing(place: RunPlace, *, force: bool) -> None:
    before = contents(place)
    with pytest.raises(ConfigurationError, match=REFUSED):
        embed(place, place.load(), [74], Progress(), force=force, device="cpu")
    assert contents(place) == before


def test_finalize_refuses_it_and_writes_nothing(place: RunPlace) -> None:
    before = contents(place)
    with pytest.raises(ConfigurationError, match=REFUSED):
        finalize(place, place.load(), [74, 75], Progress())
    assert contents(place) == before


def test_submitting_what_is_missing_refuses_it_before_any_pod(place: RunPlace) -> None:
    values = {"output": place.storage.url, "recipe": "clay-v0.1", "year": "2020"}
    with pytest.raises(ConfigurationError, match=REFUSED):
        is_anything_missing(values, [74, 75], Progress())
