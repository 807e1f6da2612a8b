"""The manifest: what it says, and when it is not published."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError
from embedder.output.manifest import Manifest
from embedder.output.run import RunPlace
from embedder.steps.finalize import finalize
from embedder.steps.plan import plan
from embedder.storage import ANY
from tests.jobs import CHIPS, COLUMNS, embed_columns, finalize_columns, place_of, plan_options
from tests.run_output import manifest_of, rewrite, with_column_nobody_planned

pytestmark = pytest.mark.usefixtures("scratch")
OTHER_MANIFEST = Manifest(
    recipe="other", year=2020, config_digest="1", weights="", weights_sha256="", complete=False, chips={}, columns={}
).to_json()


def test_the_manifest_says_what_the_files_are(done: Path) -> None:
    place = place_of(done)
    manifest = manifest_of(place)
    assert manifest["complete"] is False
    assert manifest["config_digest"] == place.load().config_digest
    assert "random:0" in manifest["warning"]
    assert sum(manifest["chips"].values()) == len(COLUMNS) * 2344
    assert manifest["chips"]["embedded"] == 4
    for column in COLUMNS:
        entry = manifest["columns"][str(column)]
        data = (done / place.prefix / entry["file"]).read_bytes()
        assert (entry["sha256"], entry["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
        assert entry["rows"] == len(CHIPS.get(column, []))


def with_other_run(place: RunPlace) -> None:
    run = replace(place.load(), weights_sha256="0" * 64)
    rewrite(place, 6, lambda data: with_footer(data, config_digest=run.config_digest))


def with_footer(data: bytes, **changes: str) -> bytes:
    table = pq.read_table(BytesIO(data))
    footer = json.loads(table.schema.metadata[b"worldcover_embeddings"]) | changes
    return parquet(table.replace_schema_metadata(table.schema.metadata | {b"worldcover_embeddings": json.dumps(footer).encode()}))


def parquet(table: Any) -> bytes:  # noqa: ANN401 - a pyarrow table
    out = BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def with_nan(data: bytes) -> bytes:
    table = pq.read_table(BytesIO(data))
    rows = table.to_pylist()
    rows[1]["embeddings"][5] = float("nan")
    return parquet(type(table).from_pylist(rows, schema=table.schema))


PROBLEMS: dict[str, tuple[Callable[[RunPlace], None], str]] = {
    "missing": (lambda place: (Path(place.storage.url) / place.column_key(7)).unlink(), r"1 missing: 7: embed them, then"),
    "foreign": (lambda place: void(place.storage.put(f"{place.prefix}notes.txt", b"x")), r"1 unexpected: notes\.txt: remove what"),
    "nested": (lambda place: void(place.storage.put(f"{place.prefix}old/a.parquet", b"x")), r"1 unexpected: old/a\.parquet: remove"),
    "not planned": (with_column_nobody_planned, r"1 unexpected: worldcover_embeddings_2020_0100\.parquet: remove"),
    "other run": (with_other_run, r"1 invalid: 6 \(of another run: its config_digest"),
    "count": (lambda place: rewrite(place, 6, lambda data: parquet(pq.read_table(BytesIO(data))[:1])), r"6 \(wrong count: 1 rows for 2"),
    "nan": (lambda place: rewrite(place, 6, with_nan), r"6 \(NaN or infinite vector at chip c0013r0000\)"),
    "unreadable": (lambda place: rewrite(place, 6, lambda data: data[:-9]), r"6 \(unreadable: "),
}


def void(_: object) -> None:
    """Drop a value."""


@pytest.mark.parametrize(("breaking", "named"), PROBLEMS.values(), ids=PROBLEMS)
def test_nothing_new_is_published_when_something_is_wrong(embedded: RunPlace, breaking: Callable[[RunPlace], None], named: str) -> None:
    before = embedded.storage.get(embedded.manifest_key), embedded.storage.get(embedded.coverage_key)
    breaking(embedded)
    with pytest.raises(ConfigurationError, match=named) as failure:
        finalize_columns(embedded, COLUMNS)
    assert embedded.storage.where(embedded.prefix) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert (embedded.storage.get(embedded.manifest_key), embedded.storage.get(embedded.coverage_key)) == before


def test_every_problem_is_named_when_there_are_several(embedded: RunPlace) -> None:
    for name in ("missing", "foreign", "nan"):
        PROBLEMS[name][0](embedded)
    with pytest.raises(ConfigurationError) as failure:
        finalize_columns(embedded, COLUMNS)
    assert str(failure.value).endswith(
        "1 invalid: 6 (NaN or infinite vector at chip c0013r0000); 1 missing: 7; 1 unexpected: notes.txt: "
        "embed them and remove what is unexpected, then finalize"
    )


def test_a_published_column_must_still_be_there_when_others_are_published(embedded: RunPlace) -> None:
    (Path(embedded.storage.url) / embedded.column_key(5)).unlink()
    with pytest.raises(ConfigurationError, match="1 missing: 5"):
        finalize_columns(embedded, [7, 8])


@pytest.mark.parametrize(("data", "reason"), [(b"{", "is not a manifest"), (OTHER_MANIFEST, "is another run's")])
def test_a_manifest_is_not_overwritten_when_it_is_not_this_runs(embedded: RunPlace, data: bytes, reason: str) -> None:
    embedded.storage.put(embedded.manifest_key, data, replaces=ANY)
    with pytest.raises(ConfigurationError, match=reason):
        finalize_columns(embedded, COLUMNS)
    assert embedded.storage.get(embedded.manifest_key).data == data


def test_the_manifest_has_all_columns_when_it_is_extended(embedded: RunPlace) -> None:
    assert list(manifest_of(embedded)["columns"]) == ["5", "6"]
    assert list(finalize_columns(embedded, [7, 8])["columns"]) == ["5", "6", "7", "8"]
    assert list(finalize_columns(embedded, [6])["columns"]) == ["5", "6", "7", "8"]
    assert list(manifest_of(embedded)["columns"]) == ["5", "6", "7", "8"]
    assert manifest_of(embedded)["chips"]["embedded"] == 4


def test_what_another_run_of_the_same_year_writes_meanwhile_is_not_unexpected(embedded: RunPlace, source: Path) -> None:
    run = embedded.load()
    plan(embedded.storage, plan_options(source, [9]), Progress())
    embed_columns(embedded, [9])
    assert list(finalize(embedded, run, COLUMNS, Progress()).columns) == COLUMNS
