"""Run records, manifests and column files that nobody wrote so."""

import io
import json
import re
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.errors import ConfigurationError, InvalidFileError
from embedder.grid import VERSIONS, chips_in_column
from embedder.output import column_file
from embedder.output.column_file import FOOTER_KEY
from embedder.output.manifest import Manifest
from embedder.output.run import Run
from embedder.recipes import Precision
from tests.mutations import ODD_JSON, altered_json, damaged, fuzzed, mutated, right_or_refused
from tests.runs import MANIFEST, RUN

RANDOM = replace(RUN, seed=7)
RECORDS = [RUN.to_json(), RANDOM.to_json(), replace(RUN, format=1).to_json()]
COLUMN, OUTCOMES = 1155, "".join("e" if row == 288 else "n" if 281 < row < 304 else "t" for row in range(586))
EMBEDDINGS = np.ones((1, RUN.recipe.width), np.float32)
FILE = column_file.write(RUN, COLUMN, OUTCOMES, EMBEDDINGS, device="cpu", precision="fp32")


def resealed(data: bytes) -> bytes:
    """A run record whose checksums fit what it says: as whoever may write it can make it."""
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if isinstance(record, dict):
        from embedder.output.run import _sha256_of  # noqa: PLC0415 - the writer's own

        inventory = record.get("inventory")
        names = ("format", "column_format", "recipe", "year", "source", "weights_sha256", "precision")
        config = {name: record.get(name) for name in names if record.get(name) is not None}
        if record.get("format") == 1:
            config.pop("column_format", None)
        if isinstance(inventory, dict):
            config["inventory"] = {name: file.get("etag") if isinstance(file, dict) else None for name, file in inventory.items()}
        try:
            record["config_digest"] = _sha256_of(config)
            record.pop("record_sha256", None)
            record["record_sha256"] = _sha256_of(record)
            return json.dumps(record).encode()
        except RecursionError:
            return data
    return data


def check_run(run: Run) -> None:
    assert run.year in VERSIONS
    assert run.precision in get_args(Precision)
    assert all(isinstance(text, str) for text in (run.source, run.weights))
    assert all(sha256 is None or re.fullmatch(r"[0-9a-f]{64}", sha256) for sha256 in (run.checkpoint_sha256, run.weights_sha256))
    assert run.seed is None or (type(run.seed) is int and run.seed >= 0)
    assert all(isinstance(file.etag, str) and type(file.size) is int and file.size >= 0 for file in run.inventory.values())


@fuzzed(100)
@given(st.sampled_from(RECORDS).flatmap(mutated))
def test_a_run_record_is_right_or_refused_when_it_is_altered(data: bytes) -> None:
    run = right_or_refused(lambda: Run.from_json(data, "here"))
    if run and run.format > 1:
        assert run in (RUN, RANDOM)
    elif run:  # whose digest is its only checksum
        check_run(run)
        assert run.config == replace(RUN, format=1).config


@fuzzed(100)
@given(st.sampled_from(RECORDS).flatmap(altered_json))
def test_a_run_record_is_right_or_refused_when_its_checksums_are_made_to_fit(data: bytes) -> None:
    run = right_or_refused(lambda: Run.from_json(resealed(data), "here"))
    if run:
        check_run(run)
        assert Run.from_json(run.to_json(), "here") == run


@pytest.mark.parametrize(
    "change",
    [
        {"year": True},
        {"year": 1999},
        {"year": "2020"},
        {"source": None},
        {"source": 5},
        {"weights": ["x"]},
        {"weights_sha256": "../../etc"},
        {"weights_sha256": None},
        {"checkpoint_sha256": 5},
        {"seed": "7"},
        {"seed": -1},
        {"seed": True},
        {"precision": "fp8"},
        {"column_format": "1"},
        {"inventory": {"N37W076": {"etag": None, "size": 30}}},
        {"inventory": {"N37W076": {"etag": '"etag"', "size": -1}}},
        {"inventory": {"N37W076": {"etag": '"etag"', "size": "30"}}},
    ],
)
def test_a_run_record_is_refused_when_a_field_is_of_another_kind(change: dict[str, Any]) -> None:
    data = resealed(json.dumps(json.loads(RUN.to_json()) | change).encode())
    with pytest.raises(ConfigurationError, match=r"^here is not a run record .*: restore it"):
        Run.from_json(data, "here")


@fuzzed(120)
@given(mutated(MANIFEST.to_json()))
def test_a_manifest_is_right_or_refused_when_it_is_altered(data: bytes) -> None:
    manifest = right_or_refused(lambda: Manifest.from_json(data, "here"))
    if manifest is None:
        return
    for entry in manifest.columns.values():
        assert not entry.file.startswith("/")
        assert ".." not in entry.file.split("/")
        assert all(type(number) is int and number >= 0 for number in (entry.rows, entry.bytes))
        assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert all(type(count) is int and count >= 0 for count in manifest.chips.values())
    assert type(manifest.complete) is bool
    assert type(manifest.year) is int
    texts = (
        manifest.recipe,
        manifest.config_digest,
        manifest.weights,
        manifest.weights_sha256,
        manifest.package_version,
        manifest.warning or "",
    )
    assert all(isinstance(text, str) for text in texts)
    assert Manifest.from_json(manifest.to_json(), "here") == manifest


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"file": file}
            for file in ("/etc/passwd", "../up", "forced/../../up", "a/b/c", "", ".", "forced/", "a\\b", "a\0b", "a\nb", None, 5)
        ),
        *({name: value} for name in ("rows", "bytes") for value in (-1, 1.0, True, "2", None, 10**30)),
        *({"sha256": sha256} for sha256 in ("", "7" * 63, "G" * 64, "A" * 64, "7" * 64 + "\n", None, 7)),
    ],
)
def test_a_manifest_is_refused_when_a_field_of_a_column_is_of_another_kind(change: dict[str, Any]) -> None:
    columns = {"7": vars(MANIFEST.columns[7]) | change}
    with pytest.raises(ConfigurationError, match=r"^here is not a manifest .*: restore it"):
        Manifest.from_json(json.dumps(json.loads(MANIFEST.to_json()) | {"columns": columns}).encode(), "here")


@pytest.mark.parametrize(
    "change",
    [
        *({"columns": {number: vars(MANIFEST.columns[7])}} for number in ("07", " 7", "\u0667", "1_0", "7.0", "-1")),
        {"chips": None},
        {"chips": []},
        *({"chips": {"embedded": count}} for count in ("3", True, -1, None, 1.0)),
        *({"complete": complete} for complete in (None, 1, "true")),
        *({name: 5} for name in ("recipe", "config_digest", "weights", "weights_sha256", "package_version", "warning")),
        {"year": "2020"},
    ],
)
def test_a_manifest_is_refused_when_a_field_is_of_another_kind(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^here is not a manifest .*: restore it"):
        Manifest.from_json(json.dumps(json.loads(MANIFEST.to_json()) | change).encode(), "here")


@pytest.mark.parametrize("file", ["seven.parquet", "forced/seven.parquet"])
def test_a_file_beside_the_manifest_or_in_a_folder_there_is_taken(file: str) -> None:
    columns = {7: replace(MANIFEST.columns[7], file=file)}
    assert Manifest.from_json(replace(MANIFEST, columns=columns).to_json(), "here").columns[7].file == file


@fuzzed(100)
@given(damaged(FILE))
def test_a_column_file_is_right_or_refused_when_it_is_damaged(data: bytes) -> None:
    if right_or_refused(lambda: column_file.check(data, RUN, COLUMN)):
        assert data == FILE


@fuzzed(100)
@given(altered_json(pq.ParquetFile(io.BytesIO(FILE)).schema_arrow.metadata[FOOTER_KEY]))
def test_a_column_file_is_right_or_refused_when_its_footer_is_altered(footer: bytes) -> None:
    # no seal fits it, so that none is right
    assert right_or_refused(lambda: column_file.check(with_footer(footer), RUN, COLUMN)) is None


@pytest.mark.parametrize("footer", [*ODD_JSON, "\udc80"])
def test_a_column_file_is_refused_when_its_footer_is_no_record(footer: str) -> None:
    with pytest.raises(InvalidFileError):
        column_file.check(with_footer(footer.encode(errors="surrogateescape")), RUN, COLUMN)


@pytest.mark.parametrize("name", ["chip_id", "embeddings", "geometry", "bbox", "datetime_start"])
@pytest.mark.parametrize(
    "values",
    [
        pa.StringArray.from_buffers(1, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xfe")),
        pa.array([1]),
        pa.array([[1.0]]),
        pa.array([{"xmin": None}]),
        pa.array(["c1155r0288"]).dictionary_encode(),
        pa.nulls(1),
    ],
    ids=["no UTF-8", "number", "short list", "struct", "dictionary", "nulls"],
)
def test_a_column_file_is_refused_when_a_column_is_of_another_kind(name: str, values: pa.Array) -> None:
    table = pq.read_table(io.BytesIO(FILE))
    at = table.schema.get_field_index(name)
    field = table.schema.field(name)
    kept = field if values.type == field.type else pa.field(name, values.type)
    with pytest.raises(InvalidFileError):
        column_file.check(written(table.set_column(at, kept, values)), RUN, COLUMN)


def with_footer(footer: bytes) -> bytes:
    table = pq.read_table(io.BytesIO(FILE))
    return written(table.replace_schema_metadata({**table.schema.metadata, FOOTER_KEY: footer}))


def written(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def test_the_column_is_what_a_run_promises() -> None:
    assert len(OUTCOMES) == chips_in_column(RUN.recipe.chip_pixels)
    assert column_file.check(FILE, RUN, COLUMN).rows == 1
