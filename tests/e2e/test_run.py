"""A run and its results, and what brings an incomplete one to its end."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from embedder.grid import COLUMN_COUNT, format_columns
from embedder.output.column_file import FOOTER_KEY
from tests.e2e.bucket import RECIPE, YEAR, Bucket, Output
from tests.e2e.cluster import NAME, OPERATOR, SUBMITTER, Cluster
from tests.e2e.conftest import WITHOUT_TILES, Published

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

BESIDES = {"_run.json", "_manifest.json", "_coverage.png"}
"""What a published year holds beside the columns' files."""


def assert_whole(output: Output, columns: list[int]) -> None:
    """There are these columns and no others, and the manifest lists them."""
    assert list(output.writes()) == columns
    assert {name for name in output.names() if not name.endswith(".parquet")} == BESIDES
    assert [int(column) for column in output.manifest()["columns"]] == columns


def test_the_files_equal_a_local_runs_when_pods_wrote_them(cluster: Cluster, published: Published, tmp_path: Path) -> None:
    local = ("workflows/submit.py", "--local", "--year", str(YEAR), "--source", published.source, "--output", str(tmp_path))
    done = cluster.run(sys.executable, *local, *published.options, "--device", "cpu", environment=cluster.environment)
    assert done.returncode == 0, done.stderr
    assert_whole(published.output, published.columns)
    here = tmp_path / RECIPE / str(YEAR)
    manifest = published.output.manifest()
    local_manifest = json.loads((here / "_manifest.json").read_text())
    for name in ("config_digest", "weights_sha256", "chips", "complete"):
        assert manifest[name] == local_manifest[name]
    assert manifest["chips"]["embedded"] >= 12
    assert len(manifest["columns"]) < COLUMN_COUNT
    for column in published.columns:
        name = manifest["columns"][str(column)]["file"]
        theirs, mine = pq.read_table(io.BytesIO(published.output.read(name))), pq.read_table(here / name)
        outcomes = [json.loads(table.schema.metadata[FOOTER_KEY])["outcomes"] for table in (theirs, mine)]
        assert outcomes[0] == outcomes[1]
        assert theirs.drop(["embeddings"]).equals(mine.drop(["embeddings"]))
        assert len(theirs) == outcomes[0].count("e")
        assert (len(theirs) > 0) == (column != WITHOUT_TILES)
        for one, other in zip(theirs["embeddings"].to_pylist(), mine["embeddings"].to_pylist(), strict=True):
            assert np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other) >= 0.9999


def test_only_what_was_removed_is_written_again_when_a_run_is_resubmitted(cluster: Cluster, published: Published) -> None:
    before, removed = published.output.writes(), (published.with_chips[1], WITHOUT_TILES)
    published.output.remove(*removed)
    again = cluster.finished(cluster.press("resubmit", published.workflow.name, SUBMITTER))
    assert again.phase == "Succeeded"
    assert again.name != published.workflow.name
    assert len(again.attempts("embed")) == len(published.columns)
    after = published.output.writes()
    assert {column for column in after if after[column] != before[column]} == set(removed)
    assert_whole(published.output, published.columns)


def test_only_a_pod_for_what_is_missing_starts_when_so_asked_and_a_retry_publishes(cluster: Cluster, published: Published) -> None:
    output = published.output.copy()
    removed = published.with_chips[2]
    before = output.writes()
    output.remove(removed, "_manifest.json")
    output.write("notes.txt", b"unexpected")
    failed = cluster.submit(output, *published.options, "--missing-only", "--wait")
    assert failed.returncode == 78
    assert "notes.txt" in failed.stderr
    workflow = cluster.workflow(cluster.submitted[-1])
    assert workflow.shards() == {str(removed)}
    assert len(workflow.attempts("finalize")) == 1
    assert "_manifest.json" not in output.names()

    output.remove("notes.txt")
    assert cluster.press("retry", workflow.name, OPERATOR) == workflow.name
    retried = cluster.finished(workflow.name)
    assert retried.phase == "Succeeded"
    assert [node["id"] for node in retried.attempts("embed")] == [node["id"] for node in workflow.attempts("embed")]
    after = output.writes()
    assert {column for column in after if after[column] != before[column]} == {removed}
    assert_whole(output, published.columns)


def test_finalize_refuses_when_a_file_is_corrupted_and_another_unexpected(cluster: Cluster, published: Published) -> None:
    output, corrupted = published.output.copy(), published.with_chips[0]
    data = bytearray(output.read(corrupted))
    data[len(data) // 2] ^= 0xFF
    output.write(corrupted, bytes(data))
    unexpected = output.write(1358, output.read(WITHOUT_TILES))
    output.remove("_manifest.json")
    parameters = {"year": YEAR, "output": output.url, "precision": "fp32", "columns": format_columns(published.columns)}
    made = cluster.create(
        "Workflow",
        "finalize-",
        version="argoproj.io/v1alpha1",
        spec={
            "entrypoint": "finalize",
            "workflowTemplateRef": {"name": NAME},
            "arguments": {"parameters": [{"name": name, "value": str(value)} for name, value in parameters.items()]},
        },
    )
    cluster.submitted.append(made["metadata"]["name"])
    refused = cluster.finished(made["metadata"]["name"])
    assert refused.phase == "Failed"
    [attempt] = refused.attempts("finalize")
    assert f"1 invalid: {corrupted} (" in attempt["message"]
    assert f"1 unexpected: {unexpected}" in attempt["message"]
    assert "_manifest.json" not in output.names()


def test_each_file_is_written_once_when_a_year_is_submitted_twice(cluster: Cluster, published: Published) -> None:
    output = published.output.copy(planned_only=True)
    columns = [WITHOUT_TILES, published.with_chips[0], published.with_chips[1]]
    options = (*published.options, "--columns", format_columns(columns))
    names = [cluster.start(output, *options) for _ in range(2)]
    first = cluster.until("one of them to end", lambda: next((found for found in map(cluster.workflow, names) if found.is_finished), None))
    writes = output.writes()
    [second] = [cluster.finished(name) for name in names if name != first.name]
    assert (first.phase, second.phase) == ("Succeeded", "Succeeded")
    assert_whole(output, columns)
    assert output.writes() == writes
    assert second.attempts("plan")[0]["startedAt"] >= first.object["status"]["finishedAt"]


def test_a_box_is_embedded_alone_and_is_the_same_as_in_the_whole_columns(cluster: Cluster, published: Published, bucket: Bucket) -> None:
    column = published.with_chips[0]
    whole = pq.read_table(io.BytesIO(published.output.read(column)))
    box = whole["bbox"][0].as_py()
    chosen = ",".join(repr(box[side]) for side in ("xmin", "ymin", "xmax", "ymax"))
    output = bucket.new_output()
    done = cluster.submit(output, *published.options, "--bbox", chosen, "--wait")
    assert done.returncode == 0, done.stderr
    assert_whole(output, [column])
    manifest = output.manifest()
    assert manifest["complete"] is True
    assert (manifest["chips"]["embedded"], manifest["chips"]["outside"]) == (1, 585)
    table = pq.read_table(io.BytesIO(output.read(column)))
    assert table["chip_id"].to_pylist() == whole["chip_id"].to_pylist()[:1]
    one, other = (each["embeddings"][0].as_py() for each in (table, whole))
    assert np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other) >= 0.9999
    assert cluster.workflow(cluster.submitted[-1]).shards() == {str(column)}
