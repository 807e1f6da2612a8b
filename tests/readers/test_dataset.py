"""What `embedder publish` made of the run, in each reader: without conversion, and without this package."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.readers.modules import reader

duckdb = reader("duckdb")
geopandas = reader("geopandas")
lonboard = reader("lonboard")
polars = reader("polars")
pystac = reader("pystac")
xarray = reader("xarray")
reader("torchgeo")

import numpy as np  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from tests.emb import emb_validator  # noqa: E402
from tests.readers.torchgeo_reader import clay_embeddings  # noqa: E402
from tests.web_server import serving  # noqa: E402

CHIPS = [f"c{column:04d}r{row:04d}" for column in range(74, 78) for row in range(309, 313)]
NAME = "clay-v0.1_2020_c0074-c0077.parquet"
PAGE = Path(__file__).parents[2] / "docs/dataset.md"


@pytest.fixture
def file(dataset: Path) -> Path:
    """Of the form geoparquet."""
    return dataset / "geoparquet/2020" / NAME


@pytest.fixture
def embeddings(year: Path) -> dict[str, Any]:
    """As the run's own files have them, by chip."""
    tables = [pq.read_table(file) for file in year.glob("*.parquet")]
    return {row["chip_id"]: np.array(row["embeddings"], np.float32) for table in tables for row in table.to_pylist()}


@pytest.fixture
def served(dataset: Path) -> Iterator[str]:
    """Where a web server has it."""
    with serving(dataset) as address:
        yield address


def recipe(language: str, address: str) -> str:
    """The page's own lines, with the address of this data set in place of a host's."""
    (found,) = re.findall(f"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found).replace("https://host/set", address).replace("clay-v0.1_2020_c0000-c0159.parquet", NAME)


def test_geopandas_reads_it_and_the_rows_in_a_box_alone(file: Path, embeddings: dict[str, Any]) -> None:
    frame = geopandas.read_parquet(file)
    assert frame.crs.to_epsg() == 4326
    assert sorted(frame["chip_id"]) == CHIPS
    assert all((vector == embeddings[chip]).all() for chip, vector in zip(frame["chip_id"], frame["embeddings"], strict=True))
    x, y = frame.geometry.iloc[5].centroid.coords[0]
    assert geopandas.read_parquet(file, bbox=(x, y, x, y))["chip_id"].tolist() == [frame["chip_id"].iloc[5]]
    geo = json.loads(pq.read_schema(file).metadata[b"geo"])
    assert geo["columns"]["geometry"]["bbox"] == pytest.approx(list(frame.total_bounds))


@pytest.mark.usefixtures("offline_httpfs")
def test_duckdb_finds_a_box_over_the_web_as_the_page_says(served: str) -> None:
    assert sorted(row[0] for row in duckdb.connect().execute(recipe("sql", served)).fetchall()) == CHIPS


def test_polars_reads_a_folder(dataset: Path) -> None:
    for form, number in (("geoparquet", polars.Float32), ("int8", polars.Int8)):
        frame = polars.scan_parquet(dataset / form / "2020").collect()
        assert sorted(frame["chip_id"]) == CHIPS
        assert frame.schema["embeddings"] == polars.Array(number, 768)


def test_int8_gives_the_numbers_back_by_what_its_footer_says(dataset: Path, embeddings: dict[str, Any]) -> None:
    coded = pq.read_table(dataset / "int8/2020" / NAME)
    item = json.loads(coded.schema.metadata[b"emb"])
    scale, offset = (np.array(item["properties"]["emb:quantization"][name]) for name in ("scale", "offset"))
    for chip, codes in zip(coded["chip_id"].to_pylist(), coded["embeddings"].to_pylist(), strict=True):
        assert (np.abs(np.array(codes) * scale + offset - embeddings[chip]) <= 0.501 * scale).all()
    assert item["properties"]["embedder:recall_at_10"] >= 0.99


def test_torchgeo_finds_embedding_place_and_time(dataset: Path) -> None:
    found = clay_embeddings()(dataset / "geoparquet/2020")
    assert len(found) == 16
    assert set(found[0]) == {"embedding", "x", "y", "t"}


def test_lonboard_makes_a_layer_of_the_table(file: Path) -> None:
    assert lonboard.PolygonLayer(table=pq.read_table(file, columns=["chip_id", "geometry"])).table.num_rows == 16


@pytest.mark.usefixtures("offline_spatial")
@pytest.mark.parametrize("form", ["geoparquet", "int8"])
def test_gpio_finds_nothing_wrong(dataset: Path, form: str) -> None:
    command = [str(Path(sys.executable).with_name("gpio")), "check", "all", str(dataset / form / "2020" / NAME)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout


def test_xarray_opens_the_store_over_the_web_as_the_page_says(served: str, embeddings: dict[str, Any]) -> None:
    names: dict[str, Any] = {}
    exec(compile(recipe("python", served), str(PAGE), "exec"), names)  # noqa: S102 - our own page
    year, here = names["year"], names["here"]
    assert dict(year.sizes) == {"time": 1, "embedding": 768, "y": 586, "x": 1359}
    assert (here.values[0] == embeddings["c0075r0309"]).all()
    assert geopandas.GeoSeries([], crs=year.spatial_ref.attrs["crs_wkt"]).crs.to_epsg() == 4326
    transform = [float(part) for part in year.spatial_ref.attrs["GeoTransform"].split()]
    assert transform == pytest.approx([-125, 512 / 12000, 0, 50, 0, -512 / 12000])


def test_pystac_walks_a_catalogue_that_is_valid(dataset: Path) -> None:
    collection = pystac.Collection.from_file(str(dataset / "collection.json"))
    items = list(collection.get_items())
    assert sorted(item.id for item in items) == [f"clay-v0.1_2020_{part}" for part in ("c0074-c0077", "c0074-c0077_int8", "zarr")]
    for thing in (collection, *items):
        said = json.loads(Path(thing.self_href).read_text())
        assert pystac.validation.validate_dict(said, extensions=[])  # what is fetched is no part of a package
        emb_validator("1.1.0").validate(said)
    for item in items:
        assert Path(item.assets["embeddings"].get_absolute_href()).exists()


def test_sha256sum_takes_the_sums(dataset: Path) -> None:
    sha256sum = shutil.which("sha256sum")
    assert sha256sum
    assert not subprocess.run([sha256sum, "--check", "--quiet", "SHA256SUMS"], cwd=dataset, check=True, capture_output=True).stdout  # noqa: S603
