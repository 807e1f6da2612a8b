"""What a run says it cost: as much as its source served, shared between its columns, and kept with each file."""

import time
from pathlib import Path
from uuid import uuid4

import pytest

from embedder.console.progress import Progress
from embedder.machine import cpu_count
from embedder.output.column_file import CheckedColumn
from embedder.output.receipt import Receipt
from embedder.steps.status import status
from tests.faults import Fault, FaultyProxy, Refusal, Served
from tests.jobs import COLUMNS, TILE, embed_columns, place_of, run_job
from tests.run_output import copy, manifest_of
from tests.s3_server import PUBLIC_BUCKET, S3Server

pytestmark = pytest.mark.usefixtures("scratch")


@pytest.fixture
def location(s3: S3Server, proxy: FaultyProxy, source: Path) -> str:
    """The source through the proxy."""
    prefix = f"receipt-{uuid4().hex}"
    s3.client().upload_file(str(source / TILE.key(2020)), PUBLIC_BUCKET, f"{prefix}/{TILE.key(2020)}")
    return f"{proxy.url}/{PUBLIC_BUCKET}/{prefix}"


def of_tiles(proxy: FaultyProxy) -> list[Served]:
    return [each for each in proxy.served if each.path.endswith(".tif")]


def receipts(columns: list[CheckedColumn]) -> dict[int, Receipt]:
    return {column.column: column.receipt for column in columns if column.receipt}


def test_the_receipts_of_all_columns_are_what_the_source_served(location: str, output: str, proxy: FaultyProxy) -> None:
    result = run_job(location, output, COLUMNS)
    served = of_tiles(proxy)
    costs = receipts(result.embedded.written)
    assert list(costs) == COLUMNS
    assert sum(cost.requests for cost in costs.values()) == len(served)
    assert sum(cost.bytes for cost in costs.values()) == sum(each.bytes_sent for each in served if each.method == "GET")
    assert sum(cost.retries for cost in costs.values()) == 0
    assert all(cost.bytes > 0 and cost.read_s > 0 for cost in costs.values()), "all have chips to read, though some of nodata alone"


@pytest.mark.parametrize("fault", [Refusal(503, "SlowDown"), Fault.HALF_BODY], ids=str)
def test_what_is_tried_again_is_counted(location: str, output: str, proxy: FaultyProxy, fault: Fault | Refusal) -> None:
    proxy.inject(fault, path=".tif", times=1)
    result = run_job(location, output, COLUMNS)
    costs = receipts(result.embedded.written).values()
    assert sum(cost.retries for cost in costs) == 1
    assert sum(cost.requests for cost in costs) == len(of_tiles(proxy))


def test_the_time_of_all_columns_is_at_most_the_steps(source: Path, output: str) -> None:
    began = time.perf_counter()
    result = run_job(source, output, COLUMNS, together=2)
    took = time.perf_counter() - began
    costs = receipts(result.embedded.written)
    assert {column: cost.device for column, cost in costs.items()} == {5: None, 6: "cpu", 7: "cpu", 8: None}
    assert all(cost.cpus == cpu_count() and cost.elapsed_s > 0 and cost.energy_kwh is None for cost in costs.values())
    assert 0 < sum(cost.inference_duration_s for cost in costs.values()) < sum(cost.elapsed_s for cost in costs.values()) < took
    assert costs[5].inference_duration_s == 0


def test_the_manifest_and_status_sum_up_what_the_files_say(done: Path) -> None:
    place = place_of(done)
    found = status(place, place.load(), COLUMNS, Progress())
    assert [Receipt.from_record(each) for each in manifest_of(place)["receipt"]] == list(found.receipt)
    assert {each.device: each.columns for each in found.receipt} == {None: 2, "cpu": 2}


def test_a_skipped_column_keeps_its_receipt_and_a_forced_one_has_a_new_one(done: Path, output: str) -> None:
    place = copy(done, output)
    before = receipts(embed_columns(place, COLUMNS).skipped)
    assert list(before) == COLUMNS
    forced = receipts(embed_columns(place, [6], force=True).written)
    assert forced[6] != before[6]
    after = receipts(embed_columns(place, COLUMNS).skipped)
    assert after == before | forced
