"""SIGTERM and Ctrl-C end the process at once, also inside a long native call: nothing half-written is ever visible."""

import os
import select
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

from embedder.console.log import is_json, json_line
from embedder.storage.scratch import remove_scratch_folders

ending = threading.RLock()
"""Taken, for good, by whoever ends the process, a signal or the command itself, so that there is one ending only."""
SHOW_CURSOR = "\x1b[?25h"
"""What a terminal is told when a progress bar, which hides the cursor, breaks off."""
_advice = ["the same command goes on from here"]


def exit_on_signals() -> None:
    """From now on SIGTERM ends the process with 143 and SIGINT with 130, within moments and hardly any clean-up.

    Python runs its handlers between two instructions of the main thread, which a matrix product can hold for seconds; the
    byte that the C handler writes wakes a thread instead. Nothing else needs care: files and objects appear whole or not at all.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ignore)
    threading.Thread(target=_wait_for_signal, args=(reading,), name="signals", daemon=True).start()


def say_when_stopped(text: str) -> None:
    """From now on, say this after "stopped by SIGINT; " instead of that the same command goes on."""
    _advice[0] = text


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Only a signal with a Python handler reaches the wake-up pipe."""


def _wait_for_signal(reading: int) -> None:
    while True:
        number = os.read(reading, 1)[0]
        if number in (signal.SIGTERM, signal.SIGINT):
            ending.acquire(timeout=1)
            try:
                remove_scratch_folders()
                _say(f"stopped by {signal.Signals(number).name}; {_advice[0]}", 128 + number)
            finally:
                os._exit(128 + number)


def _say(text: str, code: int) -> None:
    """One line on standard error, unless that is closed, or a pipe that nobody empties."""
    with suppress(OSError, ValueError, AttributeError):
        stderr = sys.stderr.fileno()
        if select.select([], [stderr], [], 1)[1]:
            line = json_line(text, "warning", exit_code=code) if is_json() else f"{SHOW_CURSOR if os.isatty(stderr) else ''}\n{text}"
            os.write(stderr, f"{line}\n".encode())
