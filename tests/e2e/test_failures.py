"""Trouble that no retry would mend: it is told at once, once, by its name, and costs nothing else."""

from pathlib import Path

import pytest
import rasterio

from embedder.grid import Tile, Window
from tests.e2e.bucket import Bucket
from tests.e2e.cluster import SUBMITTER, Cluster
from tests.tiles import write_tile

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

GOOD, EMPTY, DAMAGED = 0, 2, 24
"""Columns: one with a chip, one without in the same tile, and one in a damaged tile."""


def test_no_pod_embeds_when_the_weights_are_wrong(cluster: Cluster, bucket: Bucket, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.ckpt"
    wrong.write_bytes(b"no checkpoint" * 1000)
    weights, output = bucket.upload(wrong), bucket.new_output()
    through_kubernetes = cluster.as_account(SUBMITTER)
    done = cluster.submit(output, "--columns", "17", "--weights", weights, "--wait", environment=through_kubernetes)
    assert done.returncode == 78
    assert weights in done.stderr
    workflow = cluster.workflow(cluster.submitted[-1])
    assert workflow.phase == "Failed"
    [attempt] = workflow.attempts("plan")
    assert attempt["message"].startswith("main: Error (exit code 78): error: ")
    assert weights in attempt["message"]
    assert workflow.attempts("embed") == workflow.attempts("finalize") == []
    assert output.names() == set()


def test_the_other_columns_complete_and_finalize_names_the_one_when_its_tile_is_damaged(
    cluster: Cluster, bucket: Bucket, tmp_path: Path
) -> None:
    write_tile(tmp_path, Tile.from_name("N49W125"), Window(x=0, y=0, width=512, height=512))
    damage(write_tile(tmp_path, Tile.from_name("N49W124"), Window(x=0, y=0, width=1024, height=512)))
    output = bucket.new_output()
    options = ("--source", bucket.upload_source(tmp_path), "--columns", f"{GOOD},{EMPTY},{DAMAGED}")
    done = cluster.submit(output, *options, "--wait")
    assert done.returncode == 78
    assert "N49W124" in done.stderr
    workflow = cluster.workflow(cluster.submitted[-1])
    [failed] = workflow.attempts("embed", str(DAMAGED))
    assert f"column {DAMAGED}: tile N49W124" in failed["message"]
    [refused] = workflow.attempts("finalize")
    assert f"1 missing: {DAMAGED}" in refused["message"]
    assert list(output.writes()) == [GOOD, EMPTY]
    assert "_manifest.json" not in output.names()


def damage(tile: Path) -> None:
    """Spoil a block of its pixels."""
    with rasterio.open(tile) as dataset:
        offset, size = (int(dataset.get_tag_item(f"BLOCK_{what}_0_0", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
    with tile.open("r+b") as file:
        file.seek(offset + size // 2)
        file.write(b"\0" * 64)
