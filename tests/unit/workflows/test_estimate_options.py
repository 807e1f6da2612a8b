"""The options of the dry run's estimate, where they are wrong."""

import pytest

from embedder.cli.command import exit_code_of
from workflows.submit import submit


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--local", "--cpus", "4"), "--cpus is for a cluster: leave it out, or --local"),
        (("--local", "--price", "0.5"), "--price is for a cluster: leave it out, or --local"),
        (("--cpus", "0"), "'0' is no number above 0"),
        (("--cpus", "nan"), "'nan' is no number above 0"),
        (("--chips-per-second", "inf"), "'inf' is no number above 0"),
        (("--price", "-1"), "'-1' is no number from 0 on"),
        (("--price", "nan"), "'nan' is no number from 0 on"),
    ],
    ids=str,
)
def test_an_option_of_the_estimate_is_refused_when_it_makes_no_sense(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr("sys.argv", ["submit.py", "--year", "2020", "--dry-run", *arguments])
    assert exit_code_of(submit, "submit.py") == 2
    assert said in capsys.readouterr().err
