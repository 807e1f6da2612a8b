"""What the page is told of the cost, as the manifest says it."""

from dataclasses import replace
from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.explore.explorer import open_explorer
from embedder.explore.web import answers
from embedder.output.manifest import Manifest
from embedder.output.receipt import Receipt
from tests.explore_output import some, write_output


def test_each_year_says_what_it_cost_in_three_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for year in (2020, 2021):
        write_output(tmp_path, some(range(2), count=3), year=year)
    path = tmp_path / "clay-v0.1" / "2020" / "_manifest.json"
    receipt = Receipt(device="cpu", cpus=2, elapsed_s=36, read_s=72, inference_duration_s=18, bytes=8_200_000, requests=40, retries=1)
    path.write_bytes(replace(Manifest.from_json(path.read_bytes(), "here"), receipt=(receipt,)).to_json())
    with_receipt, without = answers.info(open_explorer(str(tmp_path), "clay-v0.1", [], Progress()), None).years
    assert with_receipt.cost == [
        "chips: 6 embedded; 1 of 2 columns have a receipt",
        "hours: 0.010 device-hours on cpu (0.005 computing)",
        "bytes: 8.2 MB in 40 requests, 1 tried again; 0.020 thread-hours of reading",
    ]
    assert without.cost == ["chips: 6 embedded; 0 of 2 columns have a receipt"]
