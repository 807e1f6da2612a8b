"""Commands where hardly anything is as usual: each ends with its line and its code, and none asks for a bug report."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import assert_one_line, exit_code
from tests.s3_server import aws_environment

LATIN_1 = b"caf\xe9".decode("utf-8", "surrogateescape")
"""As Python has a name whose bytes are no UTF-8."""
EMBEDDER = [sys.executable, "-m", "embedder"]
NO_RUN = ["status", "--year", "2020", "--output", "/nowhere"]


def in_shell(script: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[bytes]":
    """A script in which "$@" is the command; PYTHONPATH leads to this package from any folder."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.run(  # noqa: S603 - our own
        ["/bin/bash", "-c", script, "bash", *EMBEDDER], cwd=cwd, env=environment, capture_output=True, timeout=240, check=False
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_the_code_is_the_same_when_standard_streams_are_closed(closed: str) -> None:
    finished = in_shell(f'exec "$@" {" ".join(NO_RUN)} {closed}')
    assert finished.returncode == 78
    if "2>" not in closed:
        assert_one_line(finished.stderr.decode(), "no run at /nowhere")


def test_a_command_ends_with_78_when_its_folder_has_been_removed(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    finished = in_shell('rmdir ../gone; exec "$@" weights random:0 slim', cwd=tmp_path / "gone")
    assert finished.returncode == 78
    assert_one_line(finished.stderr.decode(), "the folder that this is called in has been removed")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ('set -o pipefail; "$@" embed --help | true', "has no reader any more"),
        ('exec "$@" --help >/dev/full', "No space left on device"),
    ],
)
def test_a_command_ends_with_78_when_what_it_prints_is_lost(script: str, reason: str) -> None:
    finished = in_shell(script)
    assert finished.returncode == 78, finished.stderr
    assert_one_line(finished.stderr.decode(), reason)


def test_the_code_is_the_same_when_the_disk_of_standard_error_is_full() -> None:
    assert in_shell(f'exec "$@" {" ".join(NO_RUN)} 2>/dev/full').returncode == 78


@pytest.mark.parametrize(
    "arguments",
    [
        ["embedder", "status", "--year", "2020", "--output", f"/nowhere/{LATIN_1}"],
        ["embedder", "plan", "--year", "2020", "--output", f"s3://bucket/{LATIN_1}"],
        ["embedder", "preflight", "--weights", "random:0", "--source", f"http://127.0.0.1:9/bucket/{LATIN_1}", "--output", "x"],
        ["embedder", "preflight", "--weights", "random:0", "--source", f"/nowhere/{LATIN_1}", "--output", "x"],
        ["embedder", "preflight", "--weights", f"s3://bucket/{LATIN_1}", "--source", ".", "--output", "x"],
        ["embedder", "weights", f"/nowhere/{LATIN_1}", "slim"],
        ["embedder", "weights", "random:0", f"/nowhere/{LATIN_1}/slim"],
        ["embedder", "search", "--output", "x", "--chip", LATIN_1],
        ["embedder", "embed", "--year", "2020", "--output", "x", "--column", LATIN_1],
        ["embedder", "plan", "--year", LATIN_1, "--output", "x"],
        ["embedder", LATIN_1],
        ["submit.py", "--local", "--year", "2020", "--output", LATIN_1],
        ["submit.py", "--year", "2020", "--dry-run", "--source", f"http://127.0.0.1:9/bucket/{LATIN_1}"],
    ],
    ids=" ".join,
)
def test_a_command_says_so_when_what_it_is_given_is_not_utf8(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in aws_environment("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    assert exit_code(monkeypatch, arguments) in {2, 78}
    shown = capsys.readouterr().err
    assert_one_line(shown, r"caf\udce9")
    assert "unexpected" not in shown


def test_the_reason_is_left_for_kubernetes_when_it_quotes_what_is_not_utf8(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("TERMINATION_LOG", str(tmp_path / "log"))
    assert exit_code(monkeypatch, ["embedder", LATIN_1]) == 2
    assert (tmp_path / "log").read_text() == capsys.readouterr().err.strip()
