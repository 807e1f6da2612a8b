"""Objects for log collectors: whatever a process says on standard error is one, on one line."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from embedder.console.log import format_result, json_line

COMMAND = """
import logging, sys, threading, warnings
import click
from embedder.cli.command import run_command

class Odd:
    def __del__(self):
        raise ValueError("odd")

@click.command()
@click.option("--debug", is_flag=True)
def command(debug):
    warnings.warn("a warning\\nof two lines")
    logging.getLogger("some.library").error("%s chips", 3)
    logging.getLogger("some.library").info("nobody asked")
    try:
        1 / 0
    except ZeroDivisionError:
        logging.getLogger("some.library").exception("divided")
    logging.getLogger("some.library").warning("%d chips", "three")
    logging.getLogger("urllib3.connectionpool").warning("retrying /w.ckpt?sig=pass1234")
    logging.getLogger("own").addHandler(logging.StreamHandler())
    logging.getLogger("own").warning("by its own handler")
    print("a print", file=sys.stderr)
    print("\\n", file=sys.stderr)
    click.secho("a colour", fg="red", err=True)
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    Odd()
    raise RuntimeError("the end")

import urllib3
run_command(command, "command")
"""


def run_command(*arguments: str, log_format: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LOG_FORMAT": log_format}
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", COMMAND, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_whatever_python_says_is_an_object_too() -> None:
    ended = run_command(log_format="json")
    assert (ended.returncode, ended.stdout) == (1, "")
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert all(list(line)[:3] == ["time", "level", "message"] for line in lines)
    said = {line["message"]: line for line in lines}
    warning = said["a warning\nof two lines"]
    assert (warning["level"], warning["category"], warning["where"]) == ("warning", "UserWarning", "<string>:13")
    assert (said["3 chips"]["level"], said["3 chips"]["logger"]) == ("error", "some.library")
    assert said["divided"]["traceback"].endswith("ZeroDivisionError: division by zero")
    for message in ("by its own handler", "a print", "a colour"):
        assert said[message]["level"] == "warning"
    assert any(message.startswith("Exception in thread Thread-") for message in said)
    assert "ValueError: odd" in said
    assert lines[-1].keys() == {"time", "level", "message", "exit_code"}
    assert (lines[-1]["level"], lines[-1]["exit_code"]) == ("error", 1)
    assert lines[-1]["message"].startswith("unexpected RuntimeError: the end: run again with --debug")
    assert "nobody asked" not in ended.stderr
    assert "pass1234" not in ended.stderr  # urllib3 keeps its records to itself: they can hold signed addresses


def test_the_error_holds_its_traceback_when_asked_for() -> None:
    error = json.loads(run_command("--debug", log_format="json").stderr.splitlines()[-1])
    assert error["message"].startswith("unexpected RuntimeError")
    assert error["traceback"].startswith("Traceback (most recent call last):\n")
    assert error["traceback"].endswith("RuntimeError: the end\n")


@pytest.mark.parametrize("log_format", ["", "text", "logfmt"])
def test_text_is_as_python_prints_it(log_format: str) -> None:
    ended = run_command(log_format=log_format)
    assert "<string>:13: UserWarning: a warning\nof two lines\n" in ended.stderr
    assert "3 chips\n" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("error: unexpected RuntimeError: the end: ")
    assert '"time"' not in ended.stderr


def test_an_object_is_one_line_with_the_time_in_utc() -> None:
    line = json_line("a\nb\u2028\udc80", "error", exit_code=78, path=os.devnull)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    found = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["time"])
    assert abs(datetime.now(UTC) - datetime.fromisoformat(found.pop("time"))) < timedelta(seconds=5)
    assert found == {"level": "error", "message": "a\nb\u2028\udc80", "exit_code": 78, "path": os.devnull}


def test_a_result_is_its_text_or_an_object_of_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOG_FORMAT", raising=False)
    assert format_result("published 3 columns\n  files  x", columns=3, files="x") == "published 3 columns\n  files  x"
    monkeypatch.setenv("LOG_FORMAT", "json")
    found = json.loads(format_result("published 3 columns\n  files  x", columns=3, files="x"))
    assert (found["message"], found["level"], found["columns"], found["files"]) == ("published 3 columns", "info", 3, "x")
