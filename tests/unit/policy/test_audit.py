"""What `make audit` passes over, and what it asks."""

import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.policy import audit

TODAY = date(2026, 11, 25)


def written(folder: Path, text: str) -> Path:
    file = folder / "audit.toml"
    file.write_text(text)
    return file


def test_an_exception_holds_until_its_day(tmp_path: Path) -> None:
    file = written(tmp_path, '[GHSA-1]\nreason = "not used"\nuntil = 2026-11-25\n[PYSEC-2]\nreason = "x"\nuntil = 2027-01-31\n')
    assert audit.exceptions_in(file, TODAY) == ["GHSA-1", "PYSEC-2"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[A]\nreason = "x"\nuntil = 2026-11-24', "A held until 2026-11-24"),
        ('[A]\nreason = "x"\nuntil = 2028-01-01', "more than 100 days away"),
        ('[A]\nreason = "x"', "needs a reason, and a date"),
        ('[A]\nreason = "x"\nuntil = "2026-12-01"', "needs a reason, and a date"),
        ("[A]\nuntil = 2026-12-01", "needs a reason, and a date"),
        ('[A]\nreason = " "\nuntil = 2026-12-01', "needs a reason, and a date"),
        ("A = 1", "needs a reason, and a date"),
        ("[A", "Expected"),
    ],
)
def test_an_exception_is_refused_when_it_is_past_or_says_too_little(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        audit.exceptions_in(written(tmp_path, text), TODAY)


def test_each_lock_and_torch_are_asked_about_and_one_hole_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    until = datetime.now(UTC).date() + timedelta(days=9)
    file = written(tmp_path, f'[GHSA-1]\nreason = "not used"\nuntil = {until}\n')

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401
        asked.append(command)
        if "--no-deps" in command:
            assert Path(command[command.index("--requirement") + 1]).read_text() == "torch==2.13.0\n"
        return subprocess.CompletedProcess(command, int("a.lock" in command))

    monkeypatch.setattr(subprocess, "run", run)
    assert audit.main(["--exceptions", str(file), "--also", "torch==2.13.0", "a.lock", "b.lock"]) == 1
    assert ["a.lock" in asked[0], "b.lock" in asked[1], "--no-deps" in asked[2]] == [True] * 3
    assert all("--strict" in command and command[-2:] == ["--ignore-vuln", "GHSA-1"] for command in asked)
    assert audit.main(["--exceptions", str(file), "--also", "torch==2.13.0", "b.lock"]) == 0


def test_nothing_is_asked_when_an_exception_is_past(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, '[A]\nreason = "x"\nuntil = 2020-01-01\n')
    assert audit.main(["--exceptions", str(file), "--also", "torch==2.13.0", "a.lock"]) == 1
    assert capsys.readouterr().err.startswith("error: ")
