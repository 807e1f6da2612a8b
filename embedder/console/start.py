"""Where the seconds of a process's start go, from its beginning to its first batch. Importing it takes no time to speak of."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STAT = Path("/proc/self/stat")
"""Linux's own account of this process; no other system has it."""
STARTED = 22
"""Which of its fields says when the process began, in ticks after the machine's start: proc(5)."""


def process_age() -> float:
    """Seconds since this process began, to a hundredth; 0 where the system doesn't tell."""
    try:
        after_name = STAT.read_text().rpartition(")")[2].split()  # the second field is the program's name, with whatever is in it
        began = int(after_name[STARTED - 3]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began)
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


class Start:
    """The parts of a start, each with its seconds. Parts that run beside each other, in threads, are each counted whole."""

    def __init__(self, age: float | None = None) -> None:
        """`age`: how long ago the process began, seconds, all of it the interpreter's; by default as the system says."""
        age = process_age() if age is None else age
        self.seconds = {"interpreter": age}
        """By part, in the order in which they began."""
        self._last_end = time.monotonic()
        self._began = self._last_end - age
        self._reported = False
        self._lock = threading.Lock()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is done within, beside what this part took before."""
        began = time.monotonic()
        with self._lock:
            self.seconds.setdefault(name, 0.0)
        try:
            yield
        finally:
            with self._lock:
                self._last_end = time.monotonic()
                self.seconds[name] += self._last_end - began

    def report(self) -> tuple[str, dict[str, float]] | None:
        """A line, and its numbers, once the first batch is there, which is what came after the other parts; then None for good."""
        with self._lock:
            if self._reported:
                return None
            self._reported, now = True, time.monotonic()
            seconds = {**self.seconds, "first batch": now - self._last_end}
            total = now - self._began
        line = f"start: {', '.join(f'{name} {took:.1f} s' for name, took in seconds.items())}; {total:.1f} s in all"
        return line, {name: round(took, 2) for name, took in (*seconds.items(), ("total", total))}


start = Start()
"""This process's: the interpreter's part ends when this module is imported, which the command does first."""
