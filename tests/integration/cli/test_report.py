"""`embedder report`: what it writes, prints and refuses."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from embedder.cli import report
from embedder.cli.command import exit_code_of
from embedder.cli.steps import cli
from embedder.grid import Chip
from embedder.storage import open_storage
from tests.explore_output import some, write_output
from tests.land_cover import write_map


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_output(tmp_path / "out", some(range(20, 26), 12), weights="random:0")
    return write_output(tmp_path / "out", some(range(20, 26), 12, seed=1), year=2021, weights="random:0")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["report", *arguments])


class Page(HTMLParser):
    """What stands in a page, and whether its tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - html's
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_and_its_figures_are_written_when_there_are_no_labels(output: Path) -> None:
    files = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    found = run("--output", str(output))
    assert found.exit_code == 0, found.output
    assert [line.partition(" ")[0] for line in found.stdout.splitlines()] == ["2020:", "2021:", "change:", "wrote"]
    assert "mean nothing" in found.stderr
    document = json.loads(Path("report/report.json").read_text())
    assert document["years"]["2020"]["chips"] == document["change"]["count"] == 72
    page = Page(Path("report/report.html").read_text())
    assert page.links == []  # nothing is loaded
    assert "script" not in page.tags
    assert page.tags.count("svg") == 2 * 4 + 2
    assert "mean nothing" in page.text
    assert "no labels were given" in page.text
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == files


def test_the_page_shows_what_land_cover_the_embeddings_tell(output: Path) -> None:
    pytest.importorskip("sklearn")
    chips = [Chip(column=column, row=row, pixels=512) for column in range(20, 26) for row in range(12)]
    for year in (2020, 2021):
        write_map(Path("map"), {chip.window: 10 * (1 + (chip.column + chip.row) % 3) for chip in chips}, year=year)
    found = run("--output", str(output), "--labels", "map", "--to", "told")
    assert found.exit_code == 0, found.output
    assert "main class, linear 0." in found.stdout
    page = Page(Path("told/report.html").read_text())
    assert page.tags.count("svg") == 2 * 8 + 2
    assert page.text.count("Shrubland") >= 4
    assert page.text.count("Linear probe: what was said") == 2


def test_one_year_alone_is_reported_and_the_report_replaced(output: Path) -> None:
    assert run("--output", str(output), "--to", "here").exit_code == 0
    found = run("--output", str(output), "--to", "here", "--year", "2021")
    assert found.exit_code == 0, found.output
    assert "change: only 2021 was looked at" in found.stdout
    assert list(json.loads(Path("here/report.json").read_text())["years"]) == ["2021"]
    assert "Change" in Page(Path("here/report.html").read_text()).text


def test_a_run_without_chips_has_a_page_too(tmp_path: Path) -> None:
    write_output(tmp_path / "empty", {3: ("", some(range(1), 0)[0][1])})
    found = run("--output", str(tmp_path / "empty"), "--to", str(tmp_path / "page"))
    assert found.exit_code == 0, found.output
    assert "2020: no chips" in found.stdout
    Page((tmp_path / "page/report.html").read_text())


def test_a_report_goes_to_a_bucket_too(output: Path, bucket: str) -> None:
    found = run("--output", str(output), "--to", f"s3://{bucket}/report")
    assert found.exit_code == 0, found.output
    assert [each.key for each in open_storage(f"s3://{bucket}/report").list()] == ["report.html", "report.json"]


@pytest.mark.parametrize("where", ["out", "out/report", "out/clay-v0.1/2020", "link/report"])
def test_a_report_is_not_written_among_the_run_s_files(
    output: Path, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("link").symlink_to("out")
    arguments = ["report", "--output", str(output), "--to", where]
    monkeypatch.setattr("sys.argv", ["embedder", *arguments])
    assert exit_code_of(cli, "embedder") == 2
    assert "lies in the output" in capsys.readouterr().err.splitlines()[-1]
    assert not list(output.rglob("report*"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--year", "2019"], 78, "nothing is published for 2019"),
        (["--labels", "nowhere"], 78, "is not a folder: check --labels"),
        (["--labels", "."], 78, "holds no land cover map of 2020: check --labels"),
        (["--labels", "https://user@host/x"], 2, "leave them out"),
        (["--recipe", "clay-v1.5"], 78, "nothing is published for"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    output: Path, arguments: list[str], code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "find_spec", lambda _: True)
    monkeypatch.setattr("sys.argv", ["embedder", "report", "--output", str(output), *arguments])
    assert exit_code_of(cli, "embedder") == code
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not Path("report").exists()


def test_labels_without_scikit_learn_are_refused_with_what_to_install(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "find_spec", lambda _: None)
    monkeypatch.setattr("sys.argv", ["embedder", "report", "--output", str(output), "--labels", "map"])
    assert exit_code_of(cli, "embedder") == 78
    assert "pip install '.[report]'" in capsys.readouterr().err
