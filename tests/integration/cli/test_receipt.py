"""What status and finalize say of the cost, in text, in JSON and for a price; money is in no file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from embedder.cli.steps import cli
from embedder.output import column_file
from embedder.output.receipt import Receipt
from embedder.output.run import RunPlace
from embedder.storage import open_storage
from tests.runs import RUN

RECEIPTS = {
    7: Receipt(cpus=4, elapsed_s=5400.0, read_s=7200.0, inference_duration_s=0.0, bytes=12_345_678, requests=1_001, retries=2),
    8: Receipt(cpus=4, elapsed_s=1800.0, read_s=0.0, inference_duration_s=0.0, bytes=0, requests=0, retries=0),
    9: None,
}
"""By column; the last is from before there were receipts."""
LINES = (
    "chips:      0 embedded; 2 of 3 columns have a receipt\n"
    "hours:      2.000 without a device\n"
    "bytes:      12.3 MB in 1,001 requests, 2 tried again; 2.000 thread-hours of reading\n"
)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("output")
    place = RunPlace(storage=open_storage(str(folder)), recipe=RUN.recipe, year=RUN.year)
    run = place.record(replace(RUN, columns=tuple(RECEIPTS)))
    nothing = np.empty((0, run.recipe.width), np.float32)
    for column, receipt in RECEIPTS.items():
        data = column_file.write(run, column, "t" * 586, nothing, device=None, precision=None, receipt=receipt)
        place.storage.put(place.column_key(column), data)
    return str(folder)


def call(output: str, *arguments: str, log_format: str = "text") -> Result:
    return CliRunner().invoke(cli, [*arguments, "--year", "2020", "--output", output], env={"LOG_FORMAT": log_format})


def test_status_says_the_cost_in_three_lines(output: str) -> None:
    assert LINES in call(output, "status").stdout


def test_status_turns_hours_into_money_when_it_is_told_a_price(output: str) -> None:
    assert "hours:      2.000 without a device: 1.51 at 0.755 an hour\n" in call(output, "status", "--price", "0.755").stdout
    said = json.loads(call(output, "status", "--price", "0.755", "--format", "json").stdout)
    assert said["money"] == pytest.approx(1.51)
    assert said["receipt"] == [
        {
            "columns": 2,
            "cpus": 4,
            "elapsed_s": 7200.0,
            "read_s": 7200.0,
            "inference_duration_s": 0.0,
            "bytes": 12_345_678,
            "requests": 1_001,
            "retries": 2,
        }
    ]
    assert json.loads(call(output, "status", "--price", "0", log_format="json").stdout)["money"] == 0


@pytest.mark.parametrize("price", ["", "x", "-1", "nan", "inf", "1e400", "1,5"])
def test_a_price_that_is_none_is_wrong_usage(output: str, price: str) -> None:
    found = call(output, "status", "--price", price)
    assert found.exit_code == 2
    assert "is no number from 0 on: give one such as 0.75" in found.stderr


def test_finalize_ends_with_the_cost_and_the_manifest_has_it(output: str) -> None:
    lines = "".join(f"  {name[:-1]:8}  {text}\n" for name, text in (line.split(maxsplit=1) for line in LINES.splitlines()))
    assert call(output, "finalize").stdout.endswith(lines)
    manifest = json.loads((Path(output) / "clay-v0.1" / "2020" / "_manifest.json").read_text())
    assert [(each["columns"], each["elapsed_s"], each["bytes"]) for each in manifest["receipt"]] == [(2, 7200, 12_345_678)]
    assert json.loads(call(output, "finalize", log_format="json").stdout)["receipt"] == manifest["receipt"]


def test_money_is_in_no_file(output: str) -> None:
    call(output, "status", "--price", "7654.321")
    assert not [path for path in Path(output).rglob("*") if path.is_file() and (b"money" in (data := path.read_bytes()) or b"7654" in data)]
