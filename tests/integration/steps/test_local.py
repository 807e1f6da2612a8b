"""Whole runs: what they write, again, elsewhere, and to a bucket."""

import hashlib
from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError
from embedder.steps.local import run_local
from tests.faults import Fault, FaultyProxy, Refusal
from tests.jobs import CHIPS, COLUMNS, place_of, plan_options, run_job
from tests.run_output import copy, published, rows, vectors, versions

pytestmark = pytest.mark.usefixtures("scratch")


def test_a_run_writes_files_record_weights_picture_and_manifest(done: Path) -> None:
    place = place_of(done)
    run = place.load()
    assert sorted(versions(place)) == sorted(
        [
            place.weights_key(run.weights_sha256),
            *(place.column_key(column) for column in COLUMNS),
            place.coverage_key,
            place.manifest_key,
            place.record_key,
        ]
    )
    assert {column: list(vectors(place, column)) for column in COLUMNS} == {5: [], 6: CHIPS[6], 7: CHIPS[7], 8: []}
    assert hashlib.sha256(place.storage.get(place.weights_key(run.weights_sha256)).data).hexdigest() == run.weights_sha256
    assert place.storage.get(place.coverage_key).data.startswith(b"\x89PNG")


def test_the_files_say_the_same_when_the_run_is_done_again_elsewhere(done: Path, source: Path, output: str) -> None:
    run_job(source, output, COLUMNS)
    first, second = place_of(done), place_of(output)
    for column in COLUMNS:
        assert rows(first, column) == rows(second, column)
    assert published(first) == published(second)


def test_the_embeddings_are_the_same_when_the_output_is_a_bucket(done: Path, source: Path, bucket: str) -> None:
    result = run_job(source, f"s3://{bucket}/a/prefix", COLUMNS)
    assert result.refusal is None
    place = place_of(f"s3://{bucket}/a/prefix")
    for column in COLUMNS:
        assert rows(place, column) == rows(place_of(done), column)
    assert published(place) == published(place_of(done))


@pytest.mark.parametrize("fault", [Refusal(503, "SlowDown"), Refusal(500, "InternalError"), Fault.LOST_REPLY], ids=str)
def test_a_run_ends_well_when_the_bucket_fails_now_and_then(
    done: Path, source: Path, faulty_bucket: str, proxy: FaultyProxy, fault: Fault | Refusal
) -> None:
    for path in ("_run.json", "_0006.parquet", "_0008.parquet", "_manifest.json", ".safetensors"):
        proxy.inject(fault, method="PUT", path=path)
        proxy.inject(fault, method="GET", path=path)
    result = run_job(source, f"s3://{faulty_bucket}/out", COLUMNS)
    assert result.refusal is None
    place = place_of(f"s3://{faulty_bucket}/out")
    assert published(place) == published(place_of(done))


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_nothing_is_written_when_everything_is_there(source: Path, tmp_path: Path, bucket: str, kind: str) -> None:
    output = str(tmp_path / "output") if kind == "folder" else f"s3://{bucket}/out"
    run_job(source, output, COLUMNS)
    before = versions(place_of(output))
    again = run_job(source, output, COLUMNS)
    assert [column.column for column in again.embedded.skipped] == COLUMNS
    assert not again.embedded.written
    assert versions(place_of(output)) == before


def test_every_column_is_embedded_again_when_forced(source: Path, output: str, done: Path) -> None:
    copy(done, output)
    place = place_of(output)
    before = versions(place)
    again = run_job(source, output, COLUMNS, force=True)
    assert sorted(column.column for column in again.embedded.written) == COLUMNS
    assert again.manifest
    for column in COLUMNS:
        key = place.prefix + again.manifest.columns[column].file
        assert place.column_of_forced(key) == column
        assert key not in before
        assert rows(place, column, key) == rows(place, column)


def test_a_precision_that_the_cpu_lacks_is_not_recorded(source: Path, output: str) -> None:
    with pytest.raises(ConfigurationError, match="fp16 needs a GPU"):
        run_local(output, plan_options(source, [6], precision="fp16"), Progress(), device="cpu")
    assert not Path(output).exists()
