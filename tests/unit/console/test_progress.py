import io
import itertools
import json
import re
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from embedder.console.progress import Progress


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOG_FORMAT", "ARGO_PROGRESS_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, seconds."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def shown_by(reporter: Progress, *, terminal: bool = False) -> io.StringIO:
    """What it says from now on."""
    out = io.StringIO()
    reporter._console = Console(file=out, force_terminal=terminal, width=120, highlight=False, soft_wrap=True)
    return out


def test_a_plain_line_comes_now_and_then_when_there_is_no_terminal(clock: list[float]) -> None:
    reporter = Progress()
    shown = shown_by(reporter)
    with reporter.task("embed", columns=4, chips=100):
        for _ in range(10):
            clock[0] += 5
            reporter.chips_done(5, embedded=2)
        reporter.column_done()
        clock[0] += 10
        reporter.chips_done(50, embedded=30)
    assert shown.getvalue().splitlines() == [
        "embed: 0/4 columns, 6 chips embedded, 0.4 chips/s, about 85 s left",
        "embed: 0/4 columns, 12 chips embedded, 0.4 chips/s, about 70 s left",
        "embed: 0/4 columns, 18 chips embedded, 0.4 chips/s, about 55 s left",
        "embed: 1/4 columns, 50 chips embedded, 0.8 chips/s, about 0 s left",
        "embed: 1/4 columns, 50 chips embedded, 0.8 chips/s in 60 s",
    ]


def test_the_time_left_is_in_minutes_when_it_is_long(clock: list[float]) -> None:
    reporter = Progress()
    shown = shown_by(reporter)
    with reporter.task("check files", columns=100):
        clock[0] += 30
        reporter.column_done()
    assert shown.getvalue() == "check files: 1/100 columns, about 50 min left\n"


@pytest.mark.parametrize(("seconds", "rate"), [(1000, "0.5"), (10, "50"), (0.5, "1000")])
def test_the_rate_is_a_plain_number(clock: list[float], seconds: float, rate: str) -> None:
    reporter = Progress()
    shown = shown_by(reporter)
    with reporter.task("embed", columns=1, chips=500):
        clock[0] += seconds
        reporter.chips_done(500, embedded=500)
    assert f", 500 chips embedded, {rate} chips/s" in shown.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_is_said_when_there_is_nothing_to_do(terminal: bool) -> None:  # noqa: FBT001
    reporter = Progress()
    shown = shown_by(reporter, terminal=terminal)
    with reporter.task("embed", columns=0):
        pass
    assert not shown.getvalue()


def test_a_terminal_shows_a_bar_with_the_counts() -> None:
    reporter = Progress()
    shown = shown_by(reporter, terminal=True)
    with reporter.task("embed", columns=2, chips=10):
        reporter.say("column 5 failed: [red]")
        reporter.chips_done(4, embedded=3)
        reporter.column_done()
    text = shown.getvalue()
    assert "━" in text
    assert "1/2 columns, 3 chips embedded" in text
    assert "left" in text
    assert "column 5 failed: [red]\n" in text


def test_the_counts_go_back_when_columns_are_read_again(clock: list[float]) -> None:
    reporter = Progress()
    shown = shown_by(reporter)
    with reporter.task("embed", columns=2, chips=10):
        reporter.chips_done(4, embedded=3)
        reporter.chips_done(-4, embedded=-3)
        clock[0] += 20
        reporter.chips_done(0, embedded=0)
    assert shown.getvalue().startswith("embed: 0/2 columns\n")


@pytest.mark.parametrize(("total", "line"), [(2_000_000_000, "download: 700 of 2000 MB"), (None, "download: 700 MB")])
def test_a_download_says_how_far_it_is(clock: list[float], total: int | None, line: str) -> None:
    reporter = Progress()
    shown = shown_by(reporter)
    with reporter.download() as report:
        for done in itertools.count(0, 100_000_000):
            if done > 1_000_000_000:
                break
            report(done, total)
            clock[0] += 2.2
    assert shown.getvalue().splitlines()[0] == line


# Objects for log collectors


def test_each_line_is_an_object_with_the_numbers_when_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    reporter = Progress()
    shown = shown_by(reporter, terminal=True)  # and yet there is no bar
    with reporter.task("embed", columns=4, chips=100):
        reporter.say('column 5 failed: "[red]" :warning:\n\x1b')
        clock[0] += 20
        reporter.chips_done(50, embedded=30)
        reporter.column_done()
        clock[0] += 5
        reporter.chips_done(50, embedded=31)
    with reporter.task("check files", columns=2):
        clock[0] += 20
        reporter.column_done()
    with reporter.download() as report:
        clock[0] += 20
        report(700_000_000, 2_000_000_000)
    assert not shown.getvalue()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
        assert line.pop("level") == "info"
    assert lines == [
        {"message": 'column 5 failed: "[red]" :warning:\n\x1b'},
        {
            "message": "embed: 0/4 columns, 30 chips embedded, 1.5 chips/s, about 20 s left",
            "task": "embed",
            "columns_done": 0,
            "columns": 4,
            "chips_done": 50,
            "chips": 100,
            "embedded": 30,
            "chips_per_second": 1.5,
            "seconds": 20,
        },
        {
            "message": "embed: 1/4 columns, 61 chips embedded, 2.4 chips/s in 25 s",
            "task": "embed",
            "columns_done": 1,
            "columns": 4,
            "chips_done": 100,
            "chips": 100,
            "embedded": 61,
            "chips_per_second": 2.4,
            "seconds": 25,
        },
        {"message": "check files: 1/2 columns, about 20 s left", "task": "check files", "columns_done": 1, "columns": 2, "seconds": 20},
        {"message": "download: 700 of 2000 MB", "task": "download", "bytes_done": 700_000_000, "bytes": 2_000_000_000},
    ]


# Argo's file


@pytest.fixture
def argo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "progress"
    monkeypatch.setenv("ARGO_PROGRESS_FILE", str(path))
    return path


def test_argo_is_told_of_the_chips_read_at_most_once_a_second(argo: Path, clock: list[float]) -> None:
    reporter = Progress()
    told = []

    def tell() -> None:
        told.append(argo.read_text().strip())

    with reporter.task("check files", columns=3):
        reporter.column_done()
    assert not argo.exists()  # it counts no chips
    with reporter.task("embed", columns=1, chips=0):
        reporter.column_done()
    assert not argo.exists()
    with reporter.task("embed", columns=1, chips=10):
        tell()
        for seconds, read in ((0.9, 2), (0.2, 1), (0.1, 1), (1, -1), (0.1, 7)):
            clock[0] += seconds
            reporter.chips_done(read, embedded=0)
            tell()
    assert told == ["0/10", "0/10", "3/10", "3/10", "3/10", "10/10"]
    assert [path.name for path in argo.parent.iterdir()] == ["progress"]


def test_argo_is_told_the_last_number_when_the_task_breaks_off(argo: Path, clock: list[float]) -> None:
    reporter = Progress()

    def break_off() -> None:
        with reporter.task("embed", columns=1, chips=10):
            clock[0] += 0.1
            reporter.chips_done(4, embedded=4)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert argo.read_text().strip() == "4/10"


def test_argo_never_reads_half_a_number(argo: Path, clock: list[float]) -> None:
    argo.write_text("0/500\n")
    reporter, seen, done = Progress(), set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(argo.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with reporter.task("embed", columns=1, chips=500):
            for _ in range(500):
                clock[0] += 1
                reporter.chips_done(1, embedded=0)
    finally:
        done.set()
        reader.join()
    assert len(seen) > 10
    assert all(re.fullmatch(r"\d+/500\n", text) for text in seen)


@pytest.mark.parametrize("place", ["missing/progress", "folder", "file/progress"])
def test_work_goes_on_when_argos_file_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: list[float], place: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARGO_PROGRESS_FILE", str(tmp_path / place))
    reporter = Progress()
    shown = shown_by(reporter)
    with reporter.task("embed", columns=1, chips=10):
        clock[0] += 2
        reporter.chips_done(10, embedded=10)
    assert "10 chips embedded" in shown.getvalue()
