"""A column's file, and the files of a manifest, in each reader: without conversion, and without this package."""

import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.readers.modules import reader

duckdb = reader("duckdb")
geopandas = reader("geopandas")
jsonschema = reader("jsonschema")
lonboard = reader("lonboard")
pandas = reader("pandas")
polars = reader("polars")
pyarrow = reader("pyarrow")
pyogrio = reader("pyogrio")
pystac = reader("pystac")
reader("torchgeo")

import pyarrow.dataset as ds  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from tests.emb import emb_validator  # noqa: E402
from tests.readers.torchgeo_reader import clay_embeddings  # noqa: E402

CHIPS = [f"c{column:04d}r{row:04d}" for column in range(74, 78) for row in range(309, 313)]
"""Of the run, in the order of its files."""
MIDDLE = datetime(2020, 7, 2, tzinfo=UTC)


def names(files: list[Path]) -> list[str]:
    return [str(file) for file in files]


def test_geopandas_reads_a_column(column: Path) -> None:
    frame = geopandas.read_parquet(column)
    assert frame.crs.to_epsg() == 4326
    assert frame["chip_id"].tolist() == CHIPS[:4]
    assert frame["embeddings"].iloc[0].shape == (768,)
    assert frame.geometry.iloc[0].bounds == pytest.approx(tuple(pq.read_table(column)["bbox"][0].as_py().values()))
    assert (frame["year"] == 2020).all()
    assert (frame["datetime"] == MIDDLE).all()


def test_geopandas_reads_the_folder(year: Path) -> None:
    assert sorted(geopandas.read_parquet(year)["chip_id"]) == CHIPS


def test_geopandas_reads_the_rows_in_a_box_alone(column: Path) -> None:
    x, y = geopandas.read_parquet(column).geometry.iloc[2].centroid.coords[0]
    assert geopandas.read_parquet(column, bbox=(x, y, x, y))["chip_id"].tolist() == CHIPS[2:3]


def test_pyarrow_reads_the_set_as_one(published: list[Path]) -> None:
    table = ds.dataset(names(published), format="parquet").to_table(filter=ds.field("year") == 2020)
    assert sorted(table["chip_id"].to_pylist()) == CHIPS
    assert table.schema.field("embeddings").type.list_size == 768


def test_duckdb_reads_the_set_and_computes_distances(published: list[Path]) -> None:
    rows = duckdb.execute(
        "SELECT chip_id, array_cosine_distance(embeddings::FLOAT[768], embeddings::FLOAT[768]) FROM read_parquet(?) ORDER BY chip_id",
        [names(published)],
    ).fetchall()
    assert [row[0] for row in rows] == CHIPS
    assert [row[1] for row in rows] == pytest.approx([0] * 16, abs=1e-5)


@pytest.mark.usefixtures("offline_spatial")
def test_duckdb_with_spatial_reads_boxes_and_their_crs(published: list[Path]) -> None:
    connection = duckdb.connect()
    connection.load_extension("spatial")
    rows = connection.execute(
        "SELECT chip_id FROM read_parquet(?) WHERE ST_XMin(geometry) = bbox.xmin ORDER BY chip_id", [names(published)]
    )
    assert [row[0] for row in rows.fetchall()] == CHIPS
    (kind,) = connection.execute("SELECT typeof(geometry) FROM read_parquet(?) LIMIT 1", [names(published)]).fetchone() or ("",)
    assert kind == "GEOMETRY('EPSG:4326')"


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
def test_duckdb_finds_the_year_in_any_time_zone(zone: str, published: list[Path]) -> None:
    connection = duckdb.connect()
    connection.execute(f"SET TimeZone = '{zone}'")
    (rows,) = connection.execute(
        "SELECT count(*) FROM read_parquet(?) WHERE year = 2020 AND year(datetime) = 2020", [names(published)]
    ).fetchone() or (0,)
    assert rows == 16


def test_polars_reads_the_set(published: list[Path]) -> None:
    frame = polars.scan_parquet(published).filter(polars.col("year") == 2020).collect()
    assert sorted(frame["chip_id"]) == CHIPS
    assert frame.schema["embeddings"] == polars.Array(polars.Float32, 768)
    assert frame["datetime"].unique().to_list() == [MIDDLE]


def test_torchgeo_finds_embedding_place_and_time(year: Path, column: Path) -> None:
    reader = clay_embeddings()
    assert len(reader(year)) == 16
    sample = reader(column)[0]
    assert sample["embedding"].shape == (768,)
    assert sample["t"].item() == pytest.approx(MIDDLE.timestamp(), abs=100), "float32 is that coarse"
    assert (sample["x"].item(), sample["y"].item()) == pytest.approx((-121.8213, 36.7947), abs=1e-3)


def test_lonboard_makes_a_layer_of_the_table(column: Path) -> None:
    layer = lonboard.PolygonLayer(table=pq.read_table(column, columns=["chip_id", "geometry"]))
    assert layer.table.num_rows == 4
    assert lonboard.PolygonLayer.from_geopandas(geopandas.read_parquet(column, columns=["geometry"])).table.num_rows == 4


def test_gdal_opens_a_column_as_a_layer(column: Path, request: pytest.FixtureRequest) -> None:
    """By the driver Parquet where there is one, as in QGIS; no package here has it, but GDAL's ADBC asks DuckDB."""
    name, options = str(column), {}
    if "Parquet" not in pyogrio.list_drivers():
        request.getfixturevalue("offline_spatial")
        name, options = f"ADBC:{column}", {"ADBC_DRIVER": sys.modules["_duckdb"].__file__}
    info = pyogrio.read_info(name, **options)
    assert (info["features"], info["geometry_type"], info["crs"]) == (4, "Polygon", "EPSG:4326")
    assert list(info["fields"]) == ["chip_id", "embeddings", "year", "datetime", "datetime_start", "datetime_end"]
    assert info["total_bounds"] == pytest.approx(tuple(geopandas.read_parquet(column).total_bounds))


@pytest.mark.usefixtures("offline_spatial")
@pytest.mark.parametrize("number", [1, 74])
def test_gpio_finds_nothing_wrong(year: Path, number: int) -> None:
    file = year / f"worldcover_embeddings_2020_{number:04d}.parquet"
    command = [str(Path(sys.executable).with_name("gpio")), "check", "all", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - it ends the process that it runs in
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checks passed" in done.stdout
    assert "✗" not in done.stdout


def test_the_footer_is_a_stac_item_of_the_embedding_extension(published: list[Path]) -> None:
    for file in published:
        item: dict[str, Any] = json.loads(pq.read_schema(file).metadata[b"emb"])
        emb_validator("1.0.0").validate(item)
        assert pystac.Item.from_dict(item).assets["embeddings"].href == f"./{file.name}"


def test_a_validator_would_find_what_is_wrong_with_an_item(column: Path) -> None:
    item = json.loads(pq.read_schema(column).metadata[b"emb"])
    item["properties"]["emb:energy"] = {"device_type": "abacus"}
    with pytest.raises(jsonschema.ValidationError):
        emb_validator("1.0.0").validate(item)


def test_the_files_are_as_the_run_left_them(published: list[Path]) -> None:
    assert sorted(len(pq.read_table(io.BytesIO(file.read_bytes()))) for file in published) == [0, 4, 4, 4, 4]
