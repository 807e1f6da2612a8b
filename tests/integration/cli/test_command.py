"""How a command ends: its exit code, and one clear line for each error."""

import sys
from pathlib import Path

import click
import pytest

from embedder.cli.command import exit_code_of
from tests.commands import assert_one_line, exit_code
from tests.patience import limit_attempts

pytestmark = pytest.mark.usefixtures("temporary")


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
    limit_attempts(monkeypatch, 1)
    common = ["--year", "2020", "--source", str(empty_source), "--weights", address]
    assert exit_code(monkeypatch, ["embedder", "plan", *common, "--output", "x"]) == 75
    shown = capsys.readouterr()
    assert_one_line(shown.err, "http://127.0.0.1:9/w.ckpt could not be downloaded")
    assert exit_code(monkeypatch, ["submit.py", "--local", "--dry-run", *common]) == 0
    assert "pass1234" not in shown.err + shown.out + "".join(capsys.readouterr())


def test_the_reason_is_left_where_kubernetes_reports_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("TERMINATION_LOG", str(tmp_path / "log"))
    assert exit_code(monkeypatch, ["embedder", "plan", "--year", "2019", "--output", "here"]) == 2
    assert (tmp_path / "log").read_text() == capsys.readouterr().err.strip().splitlines()[-1]
