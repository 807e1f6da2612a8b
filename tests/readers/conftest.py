import json
import os
from pathlib import Path

import pytest

from tests.readers.modules import reader


@pytest.fixture(scope="session")
def folder() -> Path:
    """What `make readers` has made."""
    if "READERS" not in os.environ:
        pytest.skip("`make readers` makes these tests' environment, and the files that they open")
    return Path(os.environ["READERS"]).resolve()


@pytest.fixture(scope="session")
def output(folder: Path) -> Path:
    """Those of the demo, 74 to 77, of four chips each, and 1, of none."""
    return folder / "output"


@pytest.fixture(scope="session")
def dataset(folder: Path) -> Path:
    """The same, published in every form."""
    return folder / "dataset"


@pytest.fixture(scope="session")
def year(output: Path) -> Path:
    """The folder of the run's files."""
    return output / "clay-v0.1/2020"


@pytest.fixture(scope="session")
def column(year: Path) -> Path:
    """One column's file."""
    return year / "worldcover_embeddings_2020_0074.parquet"


@pytest.fixture(scope="session")
def published(year: Path) -> list[Path]:
    """All the files that the manifest names."""
    return [year / entry["file"] for entry in json.loads((year / "_manifest.json").read_text())["columns"].values()]


def _install(extension: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of DuckDB's, from the registry's package to where DuckDB looks for it: nothing is fetched."""
    duckdb = reader("duckdb")
    package = reader(f"duckdb_extension_{extension}")
    monkeypatch.setenv("HOME", str(home))
    file = Path(package.__file__).parent / f"extensions/v{duckdb.__version__}/{extension}.duckdb_extension"
    duckdb.connect().install_extension(str(file))


@pytest.fixture
def offline_spatial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB can load `spatial`."""
    _install("spatial", tmp_path, monkeypatch)


@pytest.fixture
def offline_httpfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB can load `httpfs`, and does where it is given an https address."""
    _install("httpfs", tmp_path, monkeypatch)
