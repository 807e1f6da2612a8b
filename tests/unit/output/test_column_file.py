import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from embedder.errors import InvalidFileError
from embedder.grid import Chip, Tile, bounds_of
from embedder.output import column_file
from embedder.output.run import Run
from embedder.recipes import RECIPES
from embedder.source.inventory import TileFile

COLUMN = 1155
EMBEDDED = {287: 0.5, 288: -1.5, 289: 2.0}
"""Row and first number of each embedding."""
RUN = Run(
    recipe=RECIPES["clay-v0.1"],
    year=2020,
    source="s3://bucket",
    inventory={Tile.from_name("N37W076"): TileFile(etag='"etag"', size=30), Tile.from_name("N30W100"): TileFile(etag='"other"', size=1)},
    weights="clay.ckpt",
    checkpoint_sha256="c" * 64,
    weights_sha256="a" * 64,
    precision="fp32",
    columns=(COLUMN,),
)
OUTCOMES = "".join("e" if row in EMBEDDED else "n" if 281 < row < 304 else "t" for row in range(586))


def embeddings() -> np.ndarray[Any, np.dtype[np.float32]]:
    values = np.random.default_rng(0).standard_normal((3, 768)).astype(np.float32)
    values[:, 0] = list(EMBEDDED.values())
    return values


def ask_duckdb(query: str) -> list[tuple[Any, ...]]:
    import duckdb  # noqa: PLC0415 - see conftest.py

    return duckdb.connect().execute(query).fetchall()


@pytest.fixture(scope="module")
def data() -> bytes:
    return column_file.write(RUN, COLUMN, OUTCOMES, embeddings(), device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def path(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "column.parquet"
    path.write_bytes(data)
    return path


def test_geopandas_reads_the_boxes_of_the_grid(path: Path) -> None:
    frame = geopandas.read_parquet(path)
    assert frame.crs == pyproj.CRS.from_epsg(4326)
    assert frame["chip_id"].tolist() == ["c1155r0287", "c1155r0288", "c1155r0289"]
    for row, box in zip(EMBEDDED, frame.geometry, strict=True):
        bounds = bounds_of(Chip(row=row, column=COLUMN, pixels=512).window)
        assert box.bounds == pytest.approx((bounds.west, bounds.south, bounds.east, bounds.north), abs=1e-9)
        assert box.equals(shapely.box(*box.bounds))
        assert shapely.is_ccw(box.exterior)
    np.testing.assert_array_equal(np.stack(frame["embeddings"]), embeddings())
    assert str(frame["datetime_start"].iloc[0]) == "2020-01-01 00:00:00+00:00"
    assert str(frame["datetime_end"].iloc[0]) == "2020-12-31 23:59:59+00:00"


def test_geopandas_reads_only_the_rows_in_a_box(path: Path) -> None:
    bounds = bounds_of(Chip(row=288, column=COLUMN, pixels=512).window)
    x, y = bounds.center
    frame = geopandas.read_parquet(path, bbox=(x, y, x, y))
    assert frame["chip_id"].tolist() == ["c1155r0288"]


def test_duckdb_reads_embeddings_and_boxes(path: Path) -> None:
    rows = ask_duckdb(f"SELECT chip_id, embeddings[1], len(embeddings), bbox.xmin, bbox.ymax FROM '{path}'")  # noqa: S608 - our own file
    assert [(row[0], row[1], row[2]) for row in rows] == [(f"c1155r0{row}", first, 768) for row, first in EMBEDDED.items()]
    assert rows[0][3:] == pytest.approx((-125 + 512 * 1155 / 12_000, 50 - 512 * 287 / 12_000), abs=1e-9)


def test_pyarrow_finds_types_compression_and_footer(path: Path) -> None:
    parquet = pq.ParquetFile(path)
    schema = parquet.schema_arrow
    assert schema.names == ["chip_id", "embeddings", "geometry", "bbox", "year", "datetime", "datetime_start", "datetime_end"]
    assert schema.field("embeddings").type.list_size == 768
    assert schema.field("embeddings").type.value_type == pa.float32()
    assert {parquet.metadata.row_group(0).column(index).compression for index in range(parquet.metadata.num_columns)} == {"ZSTD"}
    geo = json.loads(schema.metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["covering"]["bbox"]["xmax"] == ["bbox", "xmax"]
    assert geo["columns"]["geometry"]["bbox"] == pytest.approx(list(geopandas.read_parquet(path).total_bounds))
    footer = json.loads(schema.metadata[b"worldcover_embeddings"])
    assert footer["outcomes"] == OUTCOMES
    assert footer["tiles"] == {"N37W076": '"etag"'}
    assert footer["weights_sha256"] == RUN.weights_sha256
    assert "warning" not in footer


def test_footer_says_so_when_the_weights_are_random() -> None:
    run = replace(RUN, seed=0)
    data = column_file.write(run, COLUMN, OUTCOMES, embeddings(), device="cpu", precision="fp32")
    assert "mean nothing" in column_file.check(data, run, COLUMN).footer["warning"]


def test_check_returns_what_was_written(data: bytes) -> None:
    checked = column_file.check(data, RUN, COLUMN)
    assert (checked.rows, checked.outcomes, checked.footer["device"], checked.footer["precision"]) == (3, OUTCOMES, "cpu", "fp32")


def test_a_column_without_chips_is_a_file_without_rows(tmp_path: Path) -> None:
    data = column_file.write(RUN, 7, "t" * 586, np.empty((0, 768), np.float32), device=None, precision=None)
    assert column_file.check(data, RUN, 7).rows == 0
    (tmp_path / "empty.parquet").write_bytes(data)
    frame = geopandas.read_parquet(tmp_path / "empty.parquet")
    assert len(frame) == 0
    assert frame.crs == pyproj.CRS.from_epsg(4326)
    assert ask_duckdb(f"SELECT count(*) FROM '{tmp_path}/empty.parquet'") == [(0,)]  # noqa: S608 - our own file


def test_the_same_input_gives_the_same_bytes(data: bytes) -> None:
    assert column_file.write(RUN, COLUMN, OUTCOMES, embeddings(), device="cpu", precision="fp32") == data


@pytest.mark.parametrize("share", [0.2, 0.35, 0.5, 0.65])
def test_check_refuses_when_a_byte_of_the_embeddings_is_flipped(data: bytes, share: float) -> None:
    damaged = bytearray(data)
    damaged[data.index(b"c1155r0289") + int(share * 9_000)] ^= 0x10
    with pytest.raises(InvalidFileError, match="unreadable"):
        column_file.check(bytes(damaged), RUN, COLUMN)


@settings(max_examples=300)
@given(st.data())
def test_check_refuses_when_any_bit_is_flipped(data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data)
    damaged[draw.draw(st.integers(0, len(data) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    with pytest.raises(InvalidFileError):
        column_file.check(bytes(damaged), RUN, COLUMN)


def test_check_refuses_a_file_that_somebody_else_wrote(data: bytes) -> None:
    with pytest.raises(InvalidFileError, match="it holds no SHA-256 of itself"):
        column_file.check(rewritten(data, lambda table: table), RUN, COLUMN)


@pytest.mark.parametrize("length", [0, 3, 100, 5000, -1])
def test_check_refuses_when_the_file_is_cut_short(data: bytes, length: int) -> None:
    with pytest.raises(InvalidFileError, match="unreadable"):
        column_file.check(data[:length], RUN, COLUMN)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"year": 2021}, "of another run: its year"),
        ({"recipe": RECIPES["clay-v0.1-published"]}, "of another run: its recipe"),
        ({"weights_sha256": "b" * 64}, "of another run: its config_digest"),
    ],
)
def test_check_refuses_the_file_of_another_run(data: bytes, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidFileError, match=reason):
        column_file.check(data, replace(RUN, **change), COLUMN)


def test_check_refuses_the_file_of_another_column(data: bytes) -> None:
    with pytest.raises(InvalidFileError, match="its column is 1155, not 1156"):
        column_file.check(data, RUN, 1156)


def rewritten(data: bytes, change: Callable[[pa.Table], pa.Table]) -> bytes:
    table = change(pq.read_table(io.BytesIO(data)))
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def with_value(name: str, make: Callable[[pa.Table], pa.Array]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.schema.get_field_index(name), table.schema.field(name), make(table))


def with_embedding(value: float, at: slice) -> Callable[[pa.Table], pa.Table]:
    def make(table: pa.Table) -> pa.Array:
        values = embeddings()
        values[1, at] = value
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), type=table.schema.field("embeddings").type)

    return with_value("embeddings", make)


def with_footer(**changes: Any) -> Callable[[pa.Table], pa.Table]:  # noqa: ANN401
    def change(table: pa.Table) -> pa.Table:
        footer = json.loads(table.schema.metadata[b"worldcover_embeddings"]) | changes
        return table.replace_schema_metadata(table.schema.metadata | {b"worldcover_embeddings": json.dumps(footer)})

    return change


def shifted(table: pa.Table) -> pa.Array:
    boxes = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    return pa.array(shapely.to_wkb(shapely.transform(boxes, lambda points: points + 1e-4)).tolist(), pa.binary())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_embedding(np.nan, slice(5, 6)), "NaN or infinite vector at chip c1155r0288"),
        (with_embedding(np.inf, slice(5, 6)), "NaN or infinite vector at chip c1155r0288"),
        (with_embedding(0.0, slice(None)), "zero vector at chip c1155r0288"),
        (lambda table: table.slice(1), "wrong count: 2 rows for 3 embedded chips"),
        (lambda table: table.take([1, 0, 2]), "its chip ids are not those of its outcomes"),
        (lambda table: table.drop_columns(["bbox"]), "of another form"),
        (with_value("geometry", shifted), "a box is not its chip's"),
        (with_footer(outcomes=OUTCOMES[:-1]), "wrong count: its outcomes"),
        (with_footer(outcomes=OUTCOMES[:-1] + "x"), "wrong count: its outcomes"),
        (with_footer(outcomes="n" + OUTCOMES[1:]), "outcomes say"),
    ],
)
def test_check_names_what_is_wrong(data: bytes, change: Callable[[pa.Table], pa.Table], reason: str) -> None:
    with pytest.raises(InvalidFileError, match=reason):
        column_file.check(rewritten(data, change), RUN, COLUMN)
