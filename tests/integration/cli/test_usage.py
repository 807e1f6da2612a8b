"""Wrong usage, and help: in this process, since each would take a second of its own."""

import re
import shlex
from pathlib import Path

import pytest

from embedder.cli.steps import cli
from tests.commands import assert_failed, assert_one_line, exit_code, run

pytestmark = pytest.mark.usefixtures("temporary")
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
    ("submit.py --year 2020 --local --source ftp://host/x --output here", "names no bucket and no folder"),
    ("submit.py --year 2020 --local --output ''", "the place to store at is empty"),
    ("submit.py --year 2020 --local --output here --source ''", "the source is empty"),
    ("submit.py --year 2020 --local --output here --source https://[bad", "names no bucket and no folder"),
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
