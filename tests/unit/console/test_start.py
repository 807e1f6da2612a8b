"""Where a start's seconds go: the process's age, the parts, and the one report."""

import os
import sys
import time
from pathlib import Path
from threading import Event, Thread

import pytest

from embedder.console import start as module
from embedder.console.start import Start, process_age


class Clock:
    """Time that passes when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_each_part_has_its_seconds_when_the_first_batch_is_there(clock: Clock) -> None:
    start = Start(age=0.12)
    for name, took in (("imports", 0.5), ("weights", 2.0), ("imports", 0.9), ("model and device", 0.8)):
        with start.part(name):
            clock.now += took
    clock.now += 0.5
    assert start.report() == (
        "start: interpreter 0.1 s, imports 1.4 s, weights 2.0 s, model and device 0.8 s, first batch 0.5 s; 4.8 s in all",
        {"interpreter": 0.12, "imports": 1.4, "weights": 2.0, "model and device": 0.8, "first batch": 0.5, "total": 4.82},
    )


def test_a_part_counts_when_it_fails(clock: Clock) -> None:
    start = Start(age=0)

    @start.part("weights")
    def fetch() -> None:
        clock.now += 3
        raise ValueError("as wanted")

    with pytest.raises(ValueError, match="as wanted"):
        fetch()
    assert start.seconds == {"interpreter": 0, "weights": 3}


def test_a_start_is_reported_once_when_it_is_asked_for_twice() -> None:
    start = Start()
    assert start.report()
    assert start.report() is None


def test_the_total_is_what_passed_when_parts_run_beside_each_other(clock: Clock) -> None:
    start, within, go_on = Start(age=0), Event(), Event()

    def fetch() -> None:
        with start.part("weights"):
            within.set()
            go_on.wait()

    thread = Thread(target=fetch)
    thread.start()
    within.wait()
    with start.part("imports"):
        clock.now += 2
    go_on.set()
    thread.join()
    _, seconds = start.report() or ("", {})
    assert seconds == {"interpreter": 0, "weights": 2, "imports": 2, "first batch": 0, "total": 2}


@pytest.mark.parametrize("program", ["python", "a) 1 (b c"])
def test_the_age_is_that_since_the_process_began_when_the_system_tells(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stat"
    path.write_text(f"7 ({program}) S {' '.join(['1'] * 18)} {5 * os.sysconf('SC_CLK_TCK')} 1 1")
    monkeypatch.setattr(module, "STAT", path)
    monkeypatch.setattr(time, "clock_gettime", lambda _: 5.25)
    assert process_age() == 0.25


@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't tell")
def test_the_age_is_known_when_this_is_linux() -> None:
    assert 0 < process_age() < time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize("content", [None, "", "12 (a ) b) S 1", f"12 (x) {'x ' * 40}"])
def test_the_age_is_unknown_when_the_system_does_not_tell(content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stat"
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr(module, "STAT", path)
    assert process_age() == 0
