"""The commands as a person or a pod runs them: exit codes, one clear line for each error, signals, and what is on the screen."""

import hashlib
import importlib.util
import json
import os
import pty
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pyarrow.parquet as pq
import pytest

from embedder.cli.command import exit_code_of
from embedder.cli.steps import cli
from embedder.grid import COLUMN_COUNT, Window
from embedder.models.weights import slim
from embedder.output.column_file import check
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES
from embedder.storage import open_storage
from tests.jobs import TILE
from tests.s3_server import READER, S3Server, aws_environment
from tests.tiles import write_tile

ROOT = Path(__file__).parents[3]
SUBMIT = str(ROOT / "workflows" / "submit.py")
CHIPS = {6: ["c0006r0000"], 7: ["c0007r0000"]}
"""The complete chips of `source`, by column."""
STOP_LIMIT_S = 5


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    write_tile(folder, TILE, Window(x=3_000, y=0, width=1_200, height=600))
    return folder


@pytest.fixture(scope="session")
def empty_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tile without a complete chip, so that no model is needed."""
    folder = tmp_path_factory.mktemp("empty")
    write_tile(folder, TILE, Window(x=3_000, y=0, width=100, height=100))
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "slim.safetensors"
    slim("random:0", path, RECIPES["clay-v0.1"])
    return str(path)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> Path:
    """An environment without options, with an empty temporary folder."""
    for name in ("YEAR", "OUTPUT", "RECIPE", "SOURCE", "WEIGHTS", "COLUMN", "RUN_COLUMNS", "FORCE", "DEVICE", "PRECISION", "LOG_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def output(tmp_path: Path) -> str:
    return str(tmp_path / "output")


def place_of(output: str) -> RunPlace:
    return RunPlace(storage=open_storage(output), recipe=RECIPES["clay-v0.1"], year=2020)


Finished = subprocess.CompletedProcess[str]


def run(*arguments: str, **environment: str) -> Finished:
    """`embedder ...`, or `submit.py ...` where that is the first argument."""
    command = [SUBMIT, *arguments[1:]] if arguments[0] == "submit.py" else ["-m", "embedder", *arguments]
    return subprocess.run(  # noqa: S603
        [sys.executable, *command], env=os.environ | environment, capture_output=True, text=True, timeout=240, check=False
    )


def submit(*arguments: str, **environment: str) -> Finished:
    return run("submit.py", "--year", "2020", "--local", *arguments, **environment)


def assert_failed(finished: Finished, code: int, *parts: str) -> None:
    """The exit code, and one last line on standard error that says these things."""
    assert finished.returncode == code, finished.stderr
    assert_one_line(finished.stderr, *parts)


def assert_one_line(stderr: str, *parts: str) -> None:
    lines = stderr.splitlines()
    assert lines[-1].startswith("error: ")
    for part in parts:
        assert part in lines[-1]
    assert sum(line.startswith("error") for line in lines) == 1
    assert "Traceback" not in stderr


# Wrong usage: in this process, since each would take a second of its own


def submit_command() -> click.Command:
    spec = importlib.util.spec_from_file_location("submit", SUBMIT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    command: click.Command = module.submit
    return command


def exit_code(monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]) -> int:
    monkeypatch.setattr(sys, "argv", list(arguments))
    if arguments[0] == "submit.py":
        return exit_code_of(submit_command(), "submit.py")
    return exit_code_of(cli, "embedder")


WRONG_USAGE = [
    ("submit.py --year 2019 --local", "'2019' is not one of '2020', '2021'"),
    ("submit.py --local", "Missing option '--year'"),
    ("submit.py --year 2020 --local --columns 1359", "column 1359 does not exist: columns are 0 to 1358"),
    ("submit.py --year 2020 --local --columns 5-3", "'5-3' counts backwards: write 3-5"),
    ("submit.py --year 2020 --local --columns x", "'x' is not a column: write 'all', or"),
    ("submit.py --year 2020 --local --columns=-3", "'-3' is not a column"),
    ("submit.py --year 2020 --local --recipe clay-v9", "'clay-v9' is not one of 'clay-v0.1'"),
    ("submit.py --year 2020 --local --device gpu", "'gpu' is not auto, cpu, cuda, cuda:N or mps"),
    ("submit.py --year 2020 --local --columns-per-pod 0", "0 is not in the range 1<=x<=64"),
    ("submit.py --year 2020 --local --precision fp8", "'fp8' is not one of 'auto', 'fp32'"),
    ("submit.py --year 2020 --local --force --missing-only", "give one of them"),
    ("submit.py --year 2020 --local --output ftp://host/x", "s3://bucket/prefix or a folder"),
    ("submit.py --year 2020 --local --output s3://", "s3://bucket/prefix"),
    ("submit.py --year 2020 --local --source ftp://host/x --output here", "is no bucket and no folder"),
    ("submit.py --year 2020 --local --output ''", "the place to store at is empty"),
    ("submit.py --year 2020 --local --output here --source ''", "the source is empty"),
    ("submit.py --year 2020 --local --output here --source https://[bad", "is no address"),
    ("submit.py --year 2020 --local --no-such-option", "No such option '--no-such-option'"),
    ("embedder", "Missing command"),
    ("embedder plna", "No such command 'plna'"),
    ("embedder plan --year 2020", "Missing option '--output'"),
    ("embedder plan --year 2019 --output x", "'2019' is not one of '2020', '2021'"),
    ("embedder embed --year 2020 --output x", "Missing option '--column'"),
    ("embedder embed --year 2020 --output x --column 1359", "column 1359 does not exist"),
    ("embedder embed --year 2020 --output x --column 5-3", "'5-3' counts backwards"),
    ("embedder embed --year 2020 --output x --column 5 --device tpu", "'tpu' is not auto"),
    ("embedder finalize --year 2020 --output x --columns 2000", "column 2000 does not exist"),
    ("embedder status --year 2020 --output x --format yaml", "'yaml' is not one of 'text', 'json'"),
    ("embedder weights", "Missing argument 'CHECKPOINT'"),
    ("embedder weights random:x out", "write random: and a whole number"),
]


@pytest.mark.parametrize(("line", "said"), WRONG_USAGE, ids=[line for line, _ in WRONG_USAGE])
def test_the_exit_code_is_2_when_the_usage_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    assert exit_code(monkeypatch, shlex.split(line)) == 2
    shown = capsys.readouterr()
    assert_one_line(shown.err, said)
    assert not shown.out
    assert [path.name for path in Path.cwd().iterdir()] == ["temporary"]


def test_the_exit_code_of_the_process_is_2_when_the_usage_is_wrong() -> None:
    assert_failed(run("plan", "--year", "2019", "--output", "x"), 2, "'2019' is not one of '2020', '2021'", "(see embedder plan --help)")
    assert_failed(run("submit.py", "--year", "2019"), 2, "(see submit.py --help)")


@pytest.mark.parametrize("name", ["submit.py", *(f"embedder {command}".strip() for command in ("", *cli.commands))])
def test_help_is_readable(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert exit_code(monkeypatch, [*name.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: {name} ")
    assert max(map(len, text.splitlines())) <= 120
    options = text.partition("\nOptions:\n")[2].partition("\n\n")[0]
    for described in re.split(r"\n(?=  -)", options):
        assert re.search(r"\s{2,}\S.*[.\])]$", described.strip(), re.DOTALL), f"not explained: {described}"
    if "--source" in text:
        assert text.index("--year") < text.index("--output") < text.index("--source") < text.index("--weights ") < text.index("--debug")


def test_the_terminals_width_is_not_taken_for_columns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "132")
    assert exit_code(monkeypatch, ["embedder", "plan", "--year", "2020", "--output", "x", "--source", "no-such-folder"]) == 78
    assert_one_line(capsys.readouterr().err, "source no-such-folder is not a folder: check --source")


def test_a_traceback_is_shown_when_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(monkeypatch, ["embedder", "embed", "--year", "2020", "--output", "x", "--column", "1", "--debug"]) == 78
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.splitlines()[-1].startswith("error: no run at ")


def test_an_unexpected_error_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def broken() -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(sys, "argv", ["broken"])
    assert exit_code_of(broken, "broken") == 1
    assert_one_line(capsys.readouterr().err, "unexpected RuntimeError: two lines", "--debug")


def test_secrets_are_not_shown_when_an_address_holds_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], empty_source: Path
) -> None:
    address = "http://user:pass1234@127.0.0.1:9/w.ckpt?sig=pass1234"
    monkeypatch.setattr("embedder.storage.download.ATTEMPTS", 1)
    common = ["--year", "2020", "--source", str(empty_source), "--weights", address]
    assert exit_code(monkeypatch, ["embedder", "plan", *common, "--output", "x"]) == 75
    shown = capsys.readouterr()
    assert_one_line(shown.err, "http://127.0.0.1:9/w.ckpt could not be downloaded")
    assert exit_code(monkeypatch, ["submit.py", "--local", "--dry-run", *common]) == 0
    assert "pass1234" not in shown.err + shown.out + "".join(capsys.readouterr())


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], empty_source: Path
) -> None:
    line = f"submit.py --year 2020 --local --dry-run --columns 3-30 --source {empty_source} --weights random:0"
    assert exit_code(monkeypatch, line.split()) == 0
    shown = capsys.readouterr().out
    assert "columns  28, 20 of them with tiles" in shown  # 3 to 22: column 23 reaches into the next tile
    assert "output   ./output" in shown
    assert [path.name for path in Path.cwd().iterdir()] == ["temporary"]


# The steps as processes


@pytest.fixture(scope="session")
def planned(empty_source: Path, weights: str, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> str:
    output = str(tmp_path_factory.mktemp("planned") / "output")
    options = {"YEAR": "2020", "OUTPUT": output, "SOURCE": str(empty_source), "WEIGHTS": weights, "RUN_COLUMNS": "5,30"}
    finished = run("plan", **options, XDG_CACHE_HOME=str(cache))
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("planned 2 columns from 1 tiles; the weights are ")
    return output


def test_the_steps_take_their_options_from_the_environment(planned: str) -> None:
    options = {"YEAR": "2020", "RECIPE": "clay-v0.1", "OUTPUT": planned}
    for column in ("5", "30"):
        finished = run("embed", **options, COLUMN=column)
        assert (finished.returncode, finished.stdout) == (0, "embedded 0 chips in 1 columns\n"), finished.stderr
    finished = run("embed", **options, COLUMN="5")
    assert (finished.returncode, finished.stdout) == (0, "embedded 0 chips in 0 columns, 1 finished before\n")
    finished = run("finalize", **options)
    assert finished.returncode == 0, finished.stderr
    assert "published 2 of 1359 columns" in finished.stdout
    text = run("status", **options).stdout
    for line in ("done:           2 columns", "missing:        0 columns", "published:      2 of 1359 columns"):
        assert line in text
    found = json.loads(run("status", "--format", "json", **options).stdout)
    assert found["done"] == found["published"] == [5, 30]
    assert found["missing"] == found["unexpected"] == []
    assert found["invalid"] == {}
    assert found["chips"]["no tile"] > 586


def test_plan_writes_the_shards_for_the_pods(empty_source: Path, weights: str, output: str, tmp_path: Path) -> None:
    shards = tmp_path / "shards.json"
    options = {"YEAR": "2020", "OUTPUT": output, "SOURCE": str(empty_source), "WEIGHTS": weights, "RUN_COLUMNS": "4-8,30"}
    finished = run("plan", "--shards", str(shards), **options, COLUMNS_PER_POD="3", MISSING_ONLY="false")
    assert (finished.returncode, finished.stdout.splitlines()[-1]) == (0, "3 shards to embed")
    assert json.loads(shards.read_text()) == ["4-6", "7-8", "30"]
    assert run("embed", "--column", "4-6", "--year", "2020", "--output", output).returncode == 0
    assert run("plan", "--shards", str(shards), **options, MISSING_ONLY="true").returncode == 0
    assert json.loads(shards.read_text()) == ["7", "8", "30"]


def test_the_reason_is_left_where_kubernetes_reports_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("TERMINATION_LOG", str(tmp_path / "log"))
    assert exit_code(monkeypatch, ["embedder", "plan", "--year", "2019", "--output", "here"]) == 2
    assert (tmp_path / "log").read_text() == capsys.readouterr().err.strip().splitlines()[-1]


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
    finished = run("weights", weights, str(tmp_path / "again.safetensors"), "--recipe", "clay-v0.1")
    digest = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == f"{tmp_path}/again.safetensors: {Path(weights).stat().st_size / 1e6:.0f} MB, SHA-256 {digest}\n"
    assert hashlib.sha256((tmp_path / "again.safetensors").read_bytes()).hexdigest() == digest
    (tmp_path / "again.safetensors").unlink()
    assert_failed(run("weights", weights, str(tmp_path / "out"), "--recipe", "clay-v1.5"), 78, "seems to hold the weights of clay-v0.1")
    assert_failed(run("weights", weights, str(tmp_path / "out"), "--weights-sha256", "0" * 64), 78, f"has SHA-256 {digest}, not 000")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["temporary"]


def test_bad_input_ends_with_78_and_says_what_where_and_what_to_do(
    s3: S3Server, bucket: str, empty_source: Path, output: str, tmp_path: Path
) -> None:
    (tmp_path / "page.ckpt").write_text("<html>404</html>")
    (tmp_path / "nothing").mkdir()
    good = {"--source": str(empty_source), "--weights": "random:0", "--output": output, "--columns": "5"}
    for change, parts in (
        ({"--source": str(tmp_path / "nothing")}, ["holds no tile of 2020 in the grid", "check --source"]),
        ({"--weights": str(tmp_path / "page.ckpt")}, ["page.ckpt is neither a PyTorch checkpoint nor a safetensors file"]),
        ({"--output": f"s3://{bucket}/out"}, [f"s3://{bucket}/out", "access denied", "s3:PutObject"]),
    ):
        finished = submit(*(part for pair in (good | change).items() for part in pair), **aws_environment(s3.endpoint, READER))
        assert_failed(finished, 78, *parts)
        assert READER[1] not in finished.stderr + finished.stdout
        assert not Path(output).exists()


def test_the_job_ends_with_78_and_publishes_nothing_when_a_column_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], weights: str, output: str, tmp_path: Path
) -> None:
    monkeypatch.setattr("embedder.storage.retries.FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr("embedder.storage.retries.JITTER_SECONDS", 0.01)
    path = write_tile(tmp_path / "source", TILE, Window(x=3_000, y=0, width=100, height=100))
    path.write_bytes(path.read_bytes()[:-2_000])
    line = f"submit.py --year 2020 --local --columns 6,30 --source {tmp_path / 'source'} --weights {weights} --output {output}"
    assert exit_code(monkeypatch, line.split()) == 78
    shown = capsys.readouterr()
    assert_one_line(shown.err, "column 6: tile N49W125 at ", "is damaged", "restore it, then run again")
    assert "embedded 0 chips in 1 columns, 1 failed: 6" in shown.out
    assert "published" not in shown.out
    assert sorted(path.name for path in (Path(output) / "clay-v0.1" / "2020").iterdir()) == [
        "_run.json",
        "worldcover_embeddings_2020_0030.parquet",
    ]


def test_every_column_of_the_grid_is_written(empty_source: Path, weights: str, output: str) -> None:
    finished = submit("--source", str(empty_source), "--weights", weights, "--output", output)
    assert finished.returncode == 0, finished.stderr
    folder = Path(output) / "clay-v0.1" / "2020"
    assert len(list(folder.glob("worldcover_embeddings_2020_*.parquet"))) == COLUMN_COUNT
    manifest = json.loads((folder / "_manifest.json").read_text())
    assert manifest["complete"] is True
    assert list(manifest["columns"]) == [str(column) for column in range(COLUMN_COUNT)]
    assert "published 1359 of 1359 columns (0 embedded, " in finished.stdout


# Stopped at any moment


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603
        [sys.executable, SUBMIT, "--year", "2020", "--local", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def stop(process: "subprocess.Popen[str]", number: signal.Signals) -> tuple[int, str]:
    """The exit code and standard error of a process that is sent a signal, which ends it in time."""
    process.send_signal(number)
    sent = time.monotonic()
    _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - sent < STOP_LIMIT_S
    return process.returncode, stderr


def assert_whole(output: str) -> None:
    """Whatever there is is whole, and nothing else is there."""
    place = place_of(output)
    run = place.find()
    for path in (path for path in Path(output).rglob("*") if path.is_file()):
        key = path.relative_to(output).as_posix()
        if path.suffix == ".safetensors":
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
        elif path.suffix == ".parquet":
            assert run
            check(path.read_bytes(), run, int(path.stem[-4:]))
        else:
            assert key in {place.record_key, place.manifest_key, place.coverage_key}


def assert_finished(output: str) -> None:
    """The whole job's result."""
    folder = Path(output) / "clay-v0.1" / "2020"
    manifest = json.loads((folder / "_manifest.json").read_text())
    assert list(manifest["columns"]) == ["5", "6", "7"]
    for column, chips in CHIPS.items():
        assert pq.read_table(folder / manifest["columns"][str(column)]["file"])["chip_id"].to_pylist() == chips


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_next_run_goes_on_when_one_was_stopped_at_any_moment(
    source: Path, weights: str, output: str, temporary: Path, number: signal.Signals
) -> None:
    arguments = ("--source", str(source), "--weights", weights, "--output", output, "--columns", "5-7", "--columns-per-pod", "1")
    longest, delay = 8.0 if number == signal.SIGTERM else 4.0, random.uniform(0.02, 0.1)  # noqa: S311
    while delay < longest:
        process = start(*arguments)
        time.sleep(delay)
        if process.poll() is None:
            code, stderr = stop(process, number)
            if number == signal.SIGKILL:
                assert code == -9
            elif code == -number or stderr.startswith("Fatal Python error: init_import_site"):  # Python itself was still starting
                assert delay < 1
                assert not Path(output).exists()
            else:
                assert code == 128 + number
                assert stderr.endswith(f"\nstopped by {number.name}; the same command goes on from here\n")
                assert "error" not in stderr
        else:
            process.communicate()
        assert_whole(output)
        if number != signal.SIGKILL:  # which leaves temporary folders, and never anything in the output
            assert not list(temporary.iterdir())
        delay *= random.uniform(1.6, 2.6)  # noqa: S311
    finished = submit(*arguments)
    assert finished.returncode == 0, finished.stderr
    assert_whole(output)
    assert_finished(output)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_no_gigabytes_are_left_when_the_job_is_stopped_while_it_makes_the_weights(source: Path, output: str, temporary: Path) -> None:
    process = start("--source", str(source), "--weights", "random:0", "--output", output, "--columns", "6")
    wait_for(lambda: any(path.is_file() and path.stat().st_size for path in temporary.rglob("*.safetensors")))
    code, stderr = stop(process, signal.SIGTERM)
    assert code == 143
    assert "error" not in stderr
    assert not list(temporary.iterdir())
    assert_whole(output)


def test_the_job_ends_when_nobody_reads_what_it_says(source: Path, output: str) -> None:
    """A log collector that hangs, or is gone, must not keep a pod from ending in time."""
    arguments = [sys.executable, SUBMIT, "--year", "2020", "--local", "--source", str(source), "--weights", "random:0", "--output", output]
    for reader_is_gone in (False, True):
        reading, writing = os.pipe()
        process = subprocess.Popen([*arguments, "--columns", "6"], stdout=subprocess.DEVNULL, stderr=writing)  # noqa: S603
        time.sleep(2)
        if reader_is_gone:
            os.close(reading)
        else:
            os.set_blocking(writing, False)
            with suppress(BlockingIOError):
                while True:
                    os.write(writing, b"x")
            os.set_blocking(writing, True)
        process.terminate()
        assert process.wait(STOP_LIMIT_S) == 143
        os.close(writing)


# What a log collector and Argo see


def objects(*outputs: str) -> list[dict[str, Any]]:
    """Every line, each of which is a JSON object with a time, a level and a message."""
    found: list[dict[str, Any]] = [json.loads(line) for output in outputs for line in output.splitlines()]
    assert all(list(line)[:3] == ["time", "level", "message"] and line["level"] in {"info", "warning", "error"} for line in found)
    return found


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


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_program_can_say_what_becomes_of_the_work_when_it_is_stopped(log_format: str) -> None:
    program = """
import time
from embedder.console.signals import exit_on_signals, say_when_stopped
exit_on_signals()
say_when_stopped("the workflow goes on")
print("ready", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", program],
        env=os.environ | {"LOG_FORMAT": log_format},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    code, stderr = stop(process, signal.SIGINT)
    said = objects(stderr)[-1]["message"] if log_format == "json" else stderr.splitlines()[-1]
    assert (code, said) == (130, "stopped by SIGINT; the workflow goes on")


# What a person sees


def on_a_terminal(*arguments: str, until: str | None = None) -> tuple[int, str]:
    """The exit code, and what standard error shows on a terminal; Ctrl-C is pressed once it shows `until`."""
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "140"}
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, SUBMIT, "--year", "2020", "--local", *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=follower
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
        if until and until.encode() in shown:
            process.send_signal(signal.SIGINT)
            until = None
    os.close(leader)
    return process.wait(60), shown.decode()


def test_a_terminal_shows_columns_chips_a_second_and_the_time_left(source: Path, weights: str, output: str) -> None:
    code, shown = on_a_terminal("--source", str(source), "--weights", weights, "--output", output, "--columns", "5-7")
    assert code == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert re.search(r"embed .*━.* [0-3]/3 columns, [12] chips embedded, [0-9.]+ chips/s .*\d:\d\d:\d\d left", text)
    assert re.search(r"embed: 3/3 columns, 2 chips embedded, [0-9.]+ chips/s in \d+ s", text)


def test_a_terminal_shows_no_bar_when_lines_are_objects(monkeypatch: pytest.MonkeyPatch, source: Path, weights: str, output: str) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    code, shown = on_a_terminal("--source", str(source), "--weights", weights, "--output", output, "--columns", "5-7")
    assert code == 0
    assert "\x1b" not in shown
    assert objects(shown)[-1]["chips_per_second"] > 0


def test_the_cursor_is_back_when_ctrl_c_is_pressed(source: Path, weights: str, output: str) -> None:
    code, shown = on_a_terminal("--source", str(source), "--weights", weights, "--output", output, "--columns", "5-7", until="3 columns")
    assert code == 130
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    assert shown.endswith("stopped by SIGINT; the same command goes on from here\r\n")
