import io
import itertools
import time

import pytest
from rich.console import Console

from embedder.progress import Progress


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
