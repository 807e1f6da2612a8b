"""What the steps' tests share: a source, outputs of whole runs with a narrow model, and copies of them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES
from embedder.steps.plan import plan
from tests.jobs import COLUMNS, TINY, embed_columns, place_of, plan_options, run_job, write_source
from tests.patience import skip_waits
from tests.run_output import copy


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The narrow recipe, short waits, and an empty temporary folder, which is empty again in the end."""
    monkeypatch.setitem(RECIPES, TINY.name, TINY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    skip_waits(monkeypatch)
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


@pytest.fixture
def output(tmp_path: Path) -> str:
    return str(tmp_path / "output")


@pytest.fixture(scope="session")
def done(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a whole run, for reading only."""
    folder = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, TINY.name, TINY)
        run_job(source, folder, COLUMNS)
    return folder


@pytest.fixture(scope="session")
def planned_and_embedded(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Columns 5 to 8 planned and embedded, the first two published."""
    folder = tmp_path_factory.mktemp("embedded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, TINY.name, TINY)
        run_job(source, folder, COLUMNS[:2])
        place = place_of(folder)
        plan(place.storage, plan_options(source, COLUMNS), Progress())
        embed_columns(place, COLUMNS)
    return folder


@pytest.fixture
def embedded(planned_and_embedded: Path, tmp_path: Path) -> RunPlace:
    """A copy to be broken."""
    return copy(planned_and_embedded, tmp_path / "embedded")
