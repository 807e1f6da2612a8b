"""What a run says of its devices: where it computes, once, and whether its columns were computed alike."""

import json
from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.errors import DeviceError
from embedder.models import cards
from embedder.output import column_file
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES
from embedder.steps.embed import embed
from embedder.steps.plan import plan
from embedder.storage import open_storage
from tests.jobs import CHIPS, TINY, plan_options, run_job, write_source

COLUMNS = list(CHIPS)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Also lets run records name the tests' own recipe."""
    monkeypatch.setitem(RECIPES, TINY.name, TINY)
    return write_source(tmp_path / "source")


def test_device_and_precision_are_said_once_when_a_step_computes(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run_job(source, tmp_path / "out", COLUMNS, together=1)
    assert len(done.embedded.written) == len(COLUMNS)
    assert capsys.readouterr().err.count("computing on cpu in fp32\n") == 1


def test_device_and_precision_are_in_the_log_when_it_is_of_objects(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    run_job(source, tmp_path / "out", COLUMNS)
    messages = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert messages.count("computing on cpu in fp32") == 1


def test_nothing_is_computed_elsewhere_when_cuda_cannot_be_used(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cards, "PROC", tmp_path / "no-driver")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    storage = open_storage(str(tmp_path / "out"))
    run = plan(storage, plan_options(source, COLUMNS), Progress())
    place = RunPlace(storage=storage, recipe=TINY, year=2020)
    with pytest.raises(DeviceError, match="card none, driver none"):
        embed(place, run, COLUMNS, Progress(), device="cuda", columns_together=1)
    assert "computing on" not in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_finalize_says_so_when_columns_were_computed_on_two_kinds_of_card(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_job(source, tmp_path / "out", COLUMNS)
    assert "alike" not in capsys.readouterr().err
    write = column_file.write

    def on_a_t4(*arguments: object, **_used: str | None) -> bytes:
        return write(*arguments, device="cuda:Tesla T4", precision="fp16")  # type: ignore[arg-type]

    monkeypatch.setattr(column_file, "write", on_a_t4)
    again = run_job(source, tmp_path / "out", COLUMNS[:1], force=True)
    assert len(again.embedded.written) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("NOTE: ") and "alike" in line]
    assert len(said) == 1
    assert "1 columns on cpu in fp32" in said[0]
    assert "1 columns on cuda:Tesla T4 in fp16" in said[0]
