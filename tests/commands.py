"""The commands, in this process or in one of their own: how they are run, stopped, and what they must say."""

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import click
import pytest

from embedder.cli.command import exit_code_of
from embedder.cli.steps import cli

SUBMIT = str(Path(__file__).parents[1] / "workflows" / "submit.py")
STOP_LIMIT_S = 5
Finished = subprocess.CompletedProcess[str]


def run(*arguments: str, **environment: str) -> Finished:
    """`embedder ...`, or `submit.py ...` where that is the first argument."""
    command = [SUBMIT, *arguments[1:]] if arguments[0] == "submit.py" else ["-m", "embedder", *arguments]
    return subprocess.run(  # noqa: S603
        [sys.executable, *command], env=os.environ | environment, capture_output=True, text=True, timeout=240, check=False
    )


def call(*arguments: str, **environment: str) -> Finished:
    """`run` in this process, where the process is not the subject: Python starts and torch is imported once for all of them."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in environment.items():
            patch.setenv(name, value)
        code = exit_code(patch, arguments if arguments[0] == "submit.py" else ["embedder", *arguments])
    return Finished(arguments, code, out.getvalue(), err.getvalue())


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


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def objects(*outputs: str) -> list[dict[str, Any]]:
    """Every line, each of which is a JSON object with a time, a level and a message."""
    found: list[dict[str, Any]] = [json.loads(line) for output in outputs for line in output.splitlines()]
    assert all(list(line)[:3] == ["time", "level", "message"] and line["level"] in {"info", "warning", "error"} for line in found)
    return found
