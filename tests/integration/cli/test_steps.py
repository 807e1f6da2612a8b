"""The steps as the pods run them, with options from the environment: as a process once, then in this one, which is quicker."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import assert_failed, assert_one_line, call, exit_code, run

pytestmark = pytest.mark.usefixtures("temporary")


def test_the_steps_take_their_options_from_the_environment(planned: str) -> None:
    options = {"YEAR": "2020", "RECIPE": "clay-v0.1", "OUTPUT": planned}
    for run_or_call, column in ((run, "5"), (call, "30")):
        finished = run_or_call("embed", **options, COLUMN=column)
        assert (finished.returncode, finished.stdout) == (0, "embedded 0 chips in 1 columns\n"), finished.stderr
    finished = call("embed", **options, COLUMN="5")
    assert (finished.returncode, finished.stdout) == (0, "embedded 0 chips in 0 columns, 1 finished before\n")
    finished = call("finalize", **options)
    assert finished.returncode == 0, finished.stderr
    assert "published 2 of 1359 columns" in finished.stdout
    text = call("status", **options).stdout
    for line in ("done:           2 columns", "missing:        0 columns", "published:      2 of 1359 columns"):
        assert line in text
    found = json.loads(call("status", "--format", "json", **options).stdout)
    assert found["done"] == found["published"] == [5, 30]
    assert found["missing"] == found["unexpected"] == []
    assert found["invalid"] == {}
    assert found["chips"]["no tile"] > 586


def test_plan_writes_the_shards_for_the_pods(empty_source: Path, weights: str, output: str, tmp_path: Path) -> None:
    shards = tmp_path / "shards.json"
    options = {"YEAR": "2020", "OUTPUT": output, "SOURCE": str(empty_source), "WEIGHTS": weights, "RUN_COLUMNS": "4-8,30"}
    finished = call("plan", "--shards", str(shards), **options, COLUMNS_PER_POD="3", MISSING_ONLY="false")
    assert (finished.returncode, finished.stdout.splitlines()[-1]) == (0, "3 shards to embed")
    assert json.loads(shards.read_text()) == ["4-6", "7-8", "30"]
    assert call("embed", "--column", "4-6", "--year", "2020", "--output", output).returncode == 0
    assert call("plan", "--shards", str(shards), **options, MISSING_ONLY="true").returncode == 0
    assert json.loads(shards.read_text()) == ["7", "8", "30"]


def test_nothing_slow_is_imported_when_a_column_has_no_tile(planned: str) -> None:
    timed = subprocess.run(  # noqa: S603
        [sys.executable, "-X", "importtime", "-m", "embedder", "embed", "--force", "--year", "2020", "--output", planned, "--column", "30"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in timed.stderr.splitlines() if line.startswith("import time:")}
    assert "embedder.steps.pipeline" in imported
    assert not imported & {"torch", "rasterio", "shapely", "matplotlib", "boto3", "scipy"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"SOURCE": "https://host/bucket"}, "--source https://host/bucket is not that of the planned run"),
        ({"PRECISION": "bf16"}, "--precision bf16 is not that of the planned run, auto: leave it out, or plan again"),
        ({"WEIGHTS_SHA256": "0" * 64}, f"--weights-sha256 {'0' * 64} is not that of the planned run"),
        ({"COLUMN": "900-902"}, "columns 900-902 are not planned at "),
        ({"RECIPE": "clay-v1.5"}, "no run at "),
        ({"YEAR": "2021"}, "run `embedder plan` with these options first"),
    ],
    ids=str,
)
def test_embedding_ends_with_78_when_it_is_not_what_was_planned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], planned: str, given: dict[str, str], said: str
) -> None:
    for name, value in ({"YEAR": "2020", "OUTPUT": planned, "COLUMN": "5"} | given).items():
        monkeypatch.setenv(name, value)
    assert exit_code(monkeypatch, ["embedder", "embed"]) == 78
    assert_one_line(capsys.readouterr().err, said)


def test_the_weights_command_writes_the_slim_form(tmp_path: Path, weights: str) -> None:
    finished = call("weights", weights, str(tmp_path / "again.safetensors"), "--recipe", "clay-v0.1")
    digest = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == f"{tmp_path}/again.safetensors: {Path(weights).stat().st_size / 1e6:.0f} MB, SHA-256 {digest}\n"
    assert hashlib.sha256((tmp_path / "again.safetensors").read_bytes()).hexdigest() == digest
    (tmp_path / "again.safetensors").unlink()
    assert_failed(call("weights", weights, str(tmp_path / "out"), "--recipe", "clay-v1.5"), 78, "seems to hold the weights of clay-v0.1")
    assert_failed(call("weights", weights, str(tmp_path / "out"), "--weights-sha256", "0" * 64), 78, f"has SHA-256 {digest}, not 000")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["temporary"]
