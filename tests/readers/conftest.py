import json
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def folder() -> Path:
    """What `make readers` has made."""
    if "READERS" not in os.environ:
        pytest.skip("`make readers` makes these tests' environment, and the files that they open")
    return Path(os.environ["READERS"]).resolve()


@pytest.fixture(scope="session")
def output(folder: Path) -> Path:
    """Three columns, embedded: 74 and 75, of four chips each, and 1, of none."""
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


@pytest.fixture
def offline_spatial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB's extension `spatial` where DuckDB looks for it, from the registry's package: nothing is fetched."""
    duckdb = pytest.importorskip("duckdb")
    package = pytest.importorskip("duckdb_extension_spatial")
    monkeypatch.setenv("HOME", str(tmp_path))
    file = Path(package.__file__).parent / f"extensions/v{duckdb.__version__}/spatial.duckdb_extension"
    duckdb.connect().install_extension(str(file))
