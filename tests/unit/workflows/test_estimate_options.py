"""The options of the dry run's estimate, where they are wrong."""

import pytest

from embedder.cli.command import exit_code_of
from workflows.submit import submit


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--local", "--cpus", "4"), "--cpus is for a cluster: leave it out, or --local"),
        (("--local", "--price", "0.5"), "--price is for a cluster: leave it out, or --local"),
        (("--cpus", "0"), "0.0 is not in the range x>0"),
        (("--price", "-1"), "-1.0 is not in the range x>=0"),
    ],
    ids=str,
)
def test_an_option_of_the_estimate_is_refused_when_it_makes_no_sense(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr("sys.argv", ["submit.py", "--year", "2020", "--dry-run", *arguments])
    assert exit_code_of(submit, "submit.py") == 2
    assert said in capsys.readouterr().err
