"""What a person sees on a terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import (
    SUBMIT,
    objects,
)

pytestmark = pytest.mark.usefixtures("temporary")


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
