"""The recipes of docs/output-format.md, each run as it stands there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.readers.modules import reader

for needed in ("duckdb", "geopandas", "lonboard", "polars", "pyarrow", "torchgeo"):
    reader(needed)

from tests.readers.torchgeo_reader import clay_embeddings  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs/output-format.md"
SECTION = PAGE.read_text().partition("## With other tools")[2].partition("\n## ")[0]
RECIPES = {
    title: "\n".join(re.findall("```python\n(.*?)```", text, re.DOTALL))
    for title, text in re.findall(r"^### (.*?)\n(.*?)(?=^### |\Z)", SECTION, re.DOTALL | re.MULTILINE)
}


@pytest.fixture
def run(output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a function
    """What a recipe's names hold after it was run in a folder that has the run's files in `output/`."""
    (tmp_path / "output").symlink_to(output)
    monkeypatch.chdir(tmp_path)
    clay_embeddings()  # stands in for the whole of TorchGeo

    def run(title: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        exec(compile(RECIPES[title], f"{PAGE}: {title}", "exec"), names)  # noqa: S102 - our own page
        return names

    return run


def test_every_tool_has_its_recipe() -> None:
    in_python = [title for title, recipe in RECIPES.items() if recipe]
    assert in_python == ["GeoPandas", "One file of many: pyarrow", "DuckDB", "Polars", "TorchGeo", "Lonboard"]
    assert list(RECIPES)[len(in_python) :] == ["QGIS", "R"]


def test_geopandas_reads_what_is_published(run: Any) -> None:  # noqa: ANN401
    embeddings = run("GeoPandas")["embeddings"]
    assert len(embeddings) == 16
    assert embeddings.crs.to_epsg() == 4326


def test_a_merged_file_says_where_all_its_chips_are(run: Any) -> None:  # noqa: ANN401
    run("One file of many: pyarrow")
    import geopandas  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    merged = geopandas.read_parquet("merged.parquet")
    assert len(merged) == 16
    metadata = pq.read_schema("merged.parquet").metadata
    assert json.loads(metadata[b"geo"])["columns"]["geometry"]["bbox"] == pytest.approx(list(merged.total_bounds))
    assert set(metadata) & {b"geo", b"emb", b"worldcover_embeddings"} == {b"geo"}


def test_duckdb_ranks_chips_in_a_box(run: Any) -> None:  # noqa: ANN401
    similar = run("DuckDB")["similar"]
    assert len(similar) == 5
    assert similar[0] == ("c0074r0309", pytest.approx(0, abs=1e-5))


def test_polars_reads_a_year(run: Any) -> None:  # noqa: ANN401
    assert run("Polars")["embeddings"].height == 16


def test_torchgeo_gives_samples_with_a_time(run: Any) -> None:  # noqa: ANN401
    assert set(run("TorchGeo")["sample"]) == {"embedding", "x", "y", "t"}


def test_lonboard_writes_a_map(run: Any) -> None:  # noqa: ANN401
    run("Lonboard")
    assert "<html" in Path("map.html").read_text()
