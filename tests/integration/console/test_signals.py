"""A process that is stopped at any moment: it ends in time, says so, and leaves nothing that is not whole."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from embedder.output.column_file import check
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES
from embedder.storage import open_storage
from tests.commands import (
    STOP_LIMIT_S,
    SUBMIT,
    objects,
    start,
    stop,
    submit,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("temporary")
CHIPS = {6: ["c0006r0000"], 7: ["c0007r0000"]}
"""The complete chips of `source`, by column."""


def place_of(output: str) -> RunPlace:
    return RunPlace(storage=open_storage(output), recipe=RECIPES["clay-v0.1"], year=2020)


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


def test_a_step_ends_at_once_when_it_is_stopped_between_attempts() -> None:
    """Here the output's first contact; five minutes are waited the same way."""
    program = """
from embedder.console.signals import exit_on_signals
from embedder.errors import TemporaryError
from embedder.storage import retries
exit_on_signals()
retries.WAIT = lambda state: 60

def fail():
    print("failed", flush=True)
    raise TemporaryError

retries.FIRST_CONTACT_S = 300
retries.Patience("output")(fail)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stdout
    assert process.stdout.readline() == "failed\n"
    code, _ = stop(process, signal.SIGTERM)
    assert code == 143
