"""What a log collector and Argo see: every line is an object."""

import json
import signal
from pathlib import Path

import pytest

from tests.commands import (
    objects,
    run,
    start,
    stop,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("temporary")


def test_every_line_of_the_steps_is_an_object_when_that_is_asked_for(source: Path, weights: str, output: str, tmp_path: Path) -> None:
    options = {"YEAR": "2020", "OUTPUT": output, "LOG_FORMAT": "json"}
    columns = {"SOURCE": str(source), "WEIGHTS": weights, "RUN_COLUMNS": "5-7"}
    finished = run("plan", "--shards", str(tmp_path / "shards.json"), **options, **columns)
    assert finished.returncode == 0, finished.stderr
    planned, shards = objects(finished.stdout)
    assert (planned["columns"], planned["tiles"], shards["shards"]) == (3, 1, 3)
    assert objects(finished.stderr)[0]["message"].startswith("listing the tiles of 2020 in ")

    finished = run("embed", **options, COLUMN="5-7", ARGO_PROGRESS_FILE=str(tmp_path / "progress"))
    assert finished.returncode == 0, finished.stderr
    (embedded,) = objects(finished.stdout)
    assert embedded["message"] == "embedded 2 chips in 3 columns"
    assert (embedded["embedded"], embedded["columns_written"], embedded["columns_failed"]) == (2, 3, "")
    last = objects(finished.stderr)[-1]
    assert last["message"].startswith("embed: 3/3 columns, 2 chips embedded, ")
    assert (last["columns_done"], last["columns"], last["embedded"]) == (3, 3, 2)
    assert last["chips_done"] == last["chips"] > 2
    assert (tmp_path / "progress").read_text().strip() == f"{last['chips']}/{last['chips']}"

    finished = run("finalize", **options)
    (published,) = objects(finished.stdout)
    objects(finished.stderr)
    assert published["message"].startswith("published 3 of 1359 columns (2 embedded, ")
    assert (published["columns"], published["chips"]["embedded"], published["complete"]) == (3, 2, False)
    assert Path(published["manifest"]).is_file()
    (state,) = objects(run("status", **options).stdout)
    assert (state["done"], state["missing"], state["published"], state["chips"]["embedded"]) == ("5-7", "", "5-7", 2)
    assert json.loads(run("status", "--format", "json", **options).stdout)["done"] == [5, 6, 7]


def test_the_error_is_an_object_and_stays_one_plain_line_for_kubernetes(tmp_path: Path) -> None:
    options = {"YEAR": "2020", "OUTPUT": str(tmp_path / "nothing"), "LOG_FORMAT": "json", "TERMINATION_LOG": str(tmp_path / "log")}
    for arguments, code in ((("--column", "5"), 78), ((), 2)):
        finished = run("embed", *arguments, **options)
        assert (finished.returncode, finished.stdout) == (code, "")
        (error,) = objects(finished.stderr)
        assert (error["level"], error["exit_code"]) == ("error", code)
        assert (tmp_path / "log").read_text() == f"error: {error['message']}"


def test_the_last_line_is_an_object_when_a_signal_ends_the_job(
    monkeypatch: pytest.MonkeyPatch, source: Path, weights: str, output: str
) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    process = start("--source", str(source), "--weights", weights, "--output", output, "--columns", "5-7")
    wait_for(lambda: any(Path(output).rglob("_run.json")))
    code, stderr = stop(process, signal.SIGTERM)
    assert code == 143
    last = objects(stderr)[-1]
    assert last["message"] == "stopped by SIGTERM; the same command goes on from here"
    assert (last["level"], last["exit_code"]) == ("warning", 143)
