"""What column files of format 2 say beside those of format 1: times, the file as a STAC Item, licences, when it was inferred."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedder.errors import InvalidFileError
from embedder.grid import VERSIONS, Chip, bounds_of
from embedder.output import column_file
from embedder.output.column_file import EMB_KEY, FOOTER_KEY
from embedder.output.manifest import Manifest
from embedder.output.receipt import Receipt
from embedder.output.run import Run, RunPlace
from embedder.output.times import middle
from embedder.recipes import RECIPES
from embedder.storage import open_storage
from tests.runs import RUN

COLUMN, OUTCOMES = 1155, "".join("e" if row in {287, 288} else "n" if 281 < row < 304 else "t" for row in range(586))
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
RECEIPT = Receipt(
    device="cuda (NVIDIA H100)",
    cpus=4,
    elapsed_s=9.0,
    read_s=5.0,
    inference_duration_s=2.5,
    bytes=1,
    requests=1,
    retries=0,
    energy_kwh=0.002,
)
OLDER = replace(RUN, column_format=1)


def file_of(run: Run = RUN, outcomes: str = OUTCOMES, **said: Any) -> bytes:  # noqa: ANN401
    vectors = np.ones((outcomes.count("e"), run.recipe.width), np.float32)
    details: dict[str, Any] = {"device": "cpu", "precision": "fp32", "inferred": NOON} | said
    return column_file.write(run, COLUMN, outcomes, vectors, **details)


def metadata(data: bytes, key: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pq.read_schema(io.BytesIO(data)).metadata[key])
    return found


@pytest.mark.parametrize("year", VERSIONS)
def test_a_time_is_in_its_year_whatever_the_time_zone(year: int) -> None:
    frame = pq.read_table(io.BytesIO(file_of(replace(RUN, year=year)))).to_pandas()
    assert frame["year"].dtype == np.int16
    assert set(frame["year"]) == {year}
    assert {time.tz_convert(zone).year for time in frame["datetime"] for zone in available_timezones()} == {year}


@pytest.mark.parametrize("selected", ["year", "year(datetime)"])
def test_duckdb_in_new_york_finds_the_rows_of_a_year(selected: str, tmp_path: Path) -> None:
    import duckdb  # noqa: PLC0415 - see conftest.py

    for year in VERSIONS:
        (tmp_path / f"{year}.parquet").write_bytes(file_of(replace(RUN, year=year)))
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'America/New_York'")
    query = f"SELECT DISTINCT year FROM '{tmp_path}/*.parquet' WHERE {selected} = 2020"  # noqa: S608 - our own files
    assert connection.execute(query).fetchall() == [(2020,)]


@pytest.mark.parametrize(("year", "expected"), [(2020, "2020-07-02T00:00:00+00:00"), (2021, "2021-07-02T12:00:00+00:00")])
def test_the_middle_of_a_year_is_as_far_from_its_start_as_from_its_end(year: int, expected: str) -> None:
    assert middle(year).isoformat() == expected


def test_the_footer_says_licence_attribution_and_when_it_was_inferred() -> None:
    footer = column_file.check(file_of(), RUN, COLUMN).footer
    assert footer["license"] == {"composites": "CC-BY-4.0", "weights": "OpenRAIL-M"}
    assert footer["attribution"]["composites"].startswith(
        "© ESA WorldCover project 2020 / Contains modified Copernicus Sentinel data (2020)"
    )
    assert footer["attribution"]["weights"].startswith("Clay v0.1, © 2023 Clay.foundation")
    assert footer["inferred_at"] == "2026-11-25T12:00:00Z"


@pytest.mark.parametrize(
    ("change", "license_"),
    [({"recipe": RECIPES["clay-v1.5"]}, {"composites": "CC-BY-4.0", "weights": "Apache-2.0"}), ({"seed": 0}, {"composites": "CC-BY-4.0"})],
    ids=["clay-v1.5", "random weights"],
)
def test_the_weights_licence_is_that_of_their_model(change: dict[str, Any], license_: dict[str, str]) -> None:
    run = replace(RUN, **change)
    manifest = Manifest.of_columns(place(), run, {})
    assert manifest.license == license_
    assert list(manifest.attribution) == list(license_)


def test_a_manifest_keeps_licence_and_attribution() -> None:
    manifest = Manifest.of_columns(place(), RUN, {})
    read = Manifest.from_json(manifest.to_json(), "here")
    assert (read.license, read.attribution) == (manifest.license, manifest.attribution)
    assert manifest.license


def test_the_file_is_a_stac_item_of_its_own() -> None:
    item = metadata(file_of(receipt=RECEIPT, device="cuda (NVIDIA H100)", precision="bf16"), EMB_KEY)
    boxes = [bounds_of(Chip(row=row, column=COLUMN, pixels=512).window) for row in (287, 288)]
    assert item["bbox"] == pytest.approx([boxes[0].west, boxes[1].south, boxes[0].east, boxes[0].north])
    assert (item["id"], item["assets"]["embeddings"]["href"]) == (
        "worldcover_embeddings_2020_1155",
        "./worldcover_embeddings_2020_1155.parquet",
    )
    assert (item["emb:type"], item["emb:dimensions"], item["data_type"], item["gsd"]) == ("chip", 768, "float32", 4742)
    properties = item["properties"]
    assert properties["processing:datetime"] == "2026-11-25T12:00:00Z"
    assert (properties["datetime"], properties["start_datetime"]) == ("2020-07-02T00:00:00Z", "2020-01-01T00:00:00Z")
    assert properties["emb:runtime_parameters"]["weights_sha256"] == RUN.weights_sha256
    assert properties["emb:energy"] == {
        "device_type": "gpu",
        "name": "cuda (NVIDIA H100)",
        "inference_duration_s": 2.5,
        "energy_kwh": 0.002,
    }
    assert [link["rel"] for link in item["links"]] == ["emb:source-data", "emb:model", "license", "license"]


def test_the_item_names_the_file_that_a_forced_column_gets() -> None:
    item = metadata(file_of(name="worldcover_embeddings_2020_1155_now.parquet"), EMB_KEY)
    assert item["id"] == "worldcover_embeddings_2020_1155_now"
    assert item["assets"]["embeddings"]["href"] == "./worldcover_embeddings_2020_1155_now.parquet"


def test_a_column_without_a_chip_is_an_item_without_a_place() -> None:
    item = metadata(file_of(outcomes=OUTCOMES.replace("e", "n"), device=None, precision=None), EMB_KEY)
    assert item["geometry"] is None
    assert "bbox" not in item
    assert "device" in item["properties"]["emb:runtime_parameters"]


def test_only_when_it_was_inferred_and_the_receipt_differ_between_runs() -> None:
    first, second = file_of(receipt=RECEIPT), file_of(receipt=replace(RECEIPT, elapsed_s=8.0), inferred=datetime.now(UTC))
    tables = [pq.read_table(io.BytesIO(data)) for data in (first, second)]
    assert tables[0].equals(tables[1])
    footers = [metadata(data, FOOTER_KEY) for data in (first, second)]
    assert {name for name in footers[0] if footers[0][name] != footers[1][name]} == {"receipt", "inferred_at"}


def test_a_file_of_format_1_has_none_of_it_and_stays_valid() -> None:
    data = file_of(OLDER)
    assert column_file.check(data, OLDER, COLUMN).rows == 2
    schema = pq.read_schema(io.BytesIO(data))
    assert schema.names == ["chip_id", "embeddings", "geometry", "bbox", "datetime_start", "datetime_end"]
    assert EMB_KEY not in schema.metadata
    assert not {"license", "attribution", "inferred_at"} & metadata(data, FOOTER_KEY).keys()


@pytest.mark.parametrize(("written", "read"), [(OLDER, RUN), (RUN, OLDER)], ids=["older", "newer"])
def test_a_file_of_another_format_than_its_runs_is_refused(written: Run, read: Run) -> None:
    with pytest.raises(InvalidFileError, match="of another run: its format"):
        column_file.check(file_of(written), read, COLUMN)


@pytest.mark.parametrize("name", ["year", "datetime", "datetime_start", "datetime_end"])
def test_a_file_is_refused_when_a_time_is_of_another_year(name: str) -> None:
    table = pq.read_table(io.BytesIO(file_of()))
    at, field = table.schema.get_field_index(name), table.schema.field(name)
    value = 2021 if name == "year" else table[name][0].as_py() + timedelta(days=366)
    values = pa.array([table[name][0].as_py(), value], field.type)
    with pytest.raises(InvalidFileError, match=f"its {name} is not that of 2020"):
        column_file.check(written_again(table.set_column(at, field, values)), RUN, COLUMN)


@pytest.mark.parametrize("time", ["yesterday", "2026-11-25", "2026-11-25T12:00:00", "2026-11-25T12:00:00+01:00", 5, None, "9" * 20])
def test_a_file_is_refused_when_its_inference_is_at_no_time(time: object) -> None:
    table = pq.read_table(io.BytesIO(file_of()))
    footer = json.dumps(metadata(file_of(), FOOTER_KEY) | {"inferred_at": time})
    with pytest.raises(InvalidFileError, match="when it was inferred, is no time"):
        column_file.check(written_again(table.replace_schema_metadata({**table.schema.metadata, FOOTER_KEY: footer})), RUN, COLUMN)


def written_again(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def place() -> RunPlace:
    return RunPlace(storage=open_storage("/nowhere"), recipe=RUN.recipe, year=2020)
