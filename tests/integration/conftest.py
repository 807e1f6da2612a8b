"""What the tests of the commands share: in cli, console and workflows."""

from pathlib import Path

import pytest

from embedder.grid import Tile, Window
from embedder.models.weights import slim
from embedder.recipes import RECIPES
from tests.commands import call
from tests.tiles import write_tile

TILE = Tile.from_name("N49W125")


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    write_tile(folder, TILE, Window(x=3_000, y=0, width=1_200, height=600))
    return folder


@pytest.fixture(scope="session")
def empty_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tile without a complete chip, so that no model is needed."""
    folder = tmp_path_factory.mktemp("empty")
    write_tile(folder, TILE, Window(x=3_000, y=0, width=100, height=100))
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "slim.safetensors"
    slim("random:0", path, RECIPES["clay-v0.1"])
    return str(path)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> Path:
    """An environment without options, with an empty temporary folder."""
    for name in ("YEAR", "OUTPUT", "RECIPE", "SOURCE", "WEIGHTS", "COLUMN", "RUN_COLUMNS", "FORCE", "DEVICE", "PRECISION", "LOG_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def output(tmp_path: Path) -> str:
    return str(tmp_path / "output")


@pytest.fixture(scope="session")
def planned(empty_source: Path, weights: str, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> str:
    output = str(tmp_path_factory.mktemp("planned") / "output")
    options = {"YEAR": "2020", "OUTPUT": output, "SOURCE": str(empty_source), "WEIGHTS": weights, "RUN_COLUMNS": "5,30"}
    finished = call("plan", **options, XDG_CACHE_HOME=str(cache))
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("planned 2 columns from 1 tiles; the weights are ")
    return output
