"""The commands around a data set: what they say, and how they end."""

import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from embedder import errors
from tests.commands import assert_one_line, exit_code, objects
from tests.explore_output import write_output
from tests.published import content, made
from tests.web_server import serving

pytestmark = pytest.mark.usefixtures("temporary")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("dataset"), "geoparquet", "int8")


@pytest.fixture
def place(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "copy")


WRONG = [
    ("embedder publish --to x", "Missing option '--output'"),
    ("embedder publish --output x", "Missing option '--to'"),
    ("embedder publish --output x --to y --years 2020,2019", "'2019' is not one of 2020, 2021: write 2020,2021"),
    ("embedder publish --output x --to y --form csv", "'csv' is not one of 'geoparquet', 'int8', 'zarr'"),
    ("embedder publish --output x --to y --least-recall 2", "2.0 is not in the range 0<=x<=1"),
    ("embedder publish --output x --to https://host/y", "s3://bucket/prefix or a folder"),
    ("embedder verify", "Missing argument 'PLACE'"),
    ("embedder verify ftp://host/x", "s3://bucket/prefix or a folder"),
]


@pytest.mark.parametrize(("line", "said"), WRONG, ids=[line for line, _ in WRONG])
def test_the_exit_code_is_2_when_the_usage_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    assert exit_code(monkeypatch, shlex.split(line)) == 2
    assert_one_line(capsys.readouterr().err, said)


def test_publish_says_what_it_made_and_verify_that_it_is_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output, to = write_output(tmp_path / "output", content()), tmp_path / "dataset"
    forms = ["--form", "int8", "--form", "geoparquet", "--least-recall", "0.9"]
    arguments = ["embedder", "publish", "--output", str(output), "--to", str(to), "--years", "2020", *forms]
    assert exit_code(monkeypatch, arguments) == 0
    said = capsys.readouterr().out
    assert "geoparquet 2020: 240 chips in 1 files" in said
    assert f"embedder verify {to}" in said
    assert exit_code(monkeypatch, ["embedder", "verify", str(to)]) == 0
    assert f"{to} is whole: 11 files, " in capsys.readouterr().out
    monkeypatch.setenv("LOG_FORMAT", "json")
    assert exit_code(monkeypatch, ["embedder", "verify", str(to)]) == 0
    (line,) = objects(capsys.readouterr().out)
    assert line["chips"] == {"geoparquet 2020": 240, "int8 2020": 240}


@pytest.mark.parametrize("line", ["embedder publish --output x --to y", "embedder verify x"])
def test_what_needs_the_extra_says_so_when_it_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    monkeypatch.setattr(errors, "find_spec", lambda name: None if name == "zarr" else find_spec(name))
    assert exit_code(monkeypatch, line.split()) == 78
    assert_one_line(capsys.readouterr().err, "zarr is not installed: pip install '.[publish]'")


def test_int8_that_finds_too_little_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = write_output(tmp_path / "output", content())
    arguments = ["embedder", "publish", "--output", str(output), "--to", str(tmp_path / "d"), "--form", "int8", "--least-recall", "1"]
    assert exit_code(monkeypatch, arguments) == 78
    assert_one_line(capsys.readouterr().err, "less than 1", "allow it with --least-recall")


def test_verify_names_each_fault_and_ends_with_78(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path) -> None:
    (place / "LICENSE").write_text("mine")
    (place / "README.md").unlink()
    assert exit_code(monkeypatch, ["embedder", "verify", str(place)]) == 78
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["wrong: LICENSE: its SHA-256 is not that of SHA256SUMS", "wrong: README.md: it is not there"]
    assert_one_line(shown.err, f"2 faults at {place}", "the first: LICENSE: ", "copy it again, or publish it anew")


def test_a_place_that_is_no_data_set_ends_with_78(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert exit_code(monkeypatch, ["embedder", "verify", str(tmp_path / "nothing")]) == 78
    assert_one_line(capsys.readouterr().err, "SHA256SUMS does not exist: give the folder that `embedder publish` made")


def test_public_data_are_verified_searched_and_published_again_over_the_web(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], original: Path, tmp_path: Path
) -> None:
    with serving(original.parent) as address:
        assert exit_code(monkeypatch, ["embedder", "verify", f"{address}/dataset"]) == 0
        assert "is whole" in capsys.readouterr().out
        assert exit_code(monkeypatch, ["embedder", "search", "--output", f"{address}/output", "--chip", "c0062r0003", "-k", "2"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 3
        assert exit_code(monkeypatch, ["embedder", "publish", "--output", f"{address}/output", "--to", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again/geoparquet").exists()


def test_status_over_the_web_says_that_nothing_lists(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], planned: str
) -> None:
    with serving(Path(planned)) as address:
        assert exit_code(monkeypatch, ["embedder", "status", "--year", "2020", "--output", address]) == 0
    said = capsys.readouterr().out
    assert "missing:        2 columns  5,30" in said
    assert f"NOTE: {address}/clay-v0.1/2020/ can't be listed, only read: unexpected files" in said
