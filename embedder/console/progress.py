"""What is seen while a step runs: a bar on a terminal, a line now and then elsewhere, and the chips done in Argo's user interface."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from embedder.console.log import is_json, json_line

LINE_EVERY_SECONDS = 15
ARGO_EVERY_SECONDS = 1


class Progress:
    """Counts columns and chips. Everything it says goes to standard error; a quiet one, for a notebook, says nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
        self._tasks: list[_Task] = []

    def say(self, text: str, **fields: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
        """One line, above the bar where there is one; the fields are for its JSON object."""
        _print(self._console, text, **fields)

    @contextmanager
    def task(self, what: str, *, columns: int, chips: int = 0) -> Iterator[None]:
        """Count what is done within: columns, and where `chips` is given also chips to be read. Nothing is shown of an empty task."""
        task = _Task(what, columns, chips, self._console)
        self._tasks.append(task)
        try:
            with task.display():
                yield
        finally:
            self._tasks.remove(task)

    @contextmanager
    def download(self) -> Iterator[Callable[[int, int | None], None]]:
        """What is yielded is called with the bytes so far and their total, if that is known."""
        last_line = time.monotonic()
        if _shows_bars(self._console):
            with Bar(
                TextColumn("download"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=self._console, transient=True
            ) as bar:
                task = bar.add_task("download", total=None, visible=False)
                yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)
            return

        def line(done: int, total: int | None) -> None:
            nonlocal last_line
            if time.monotonic() - last_line >= LINE_EVERY_SECONDS:
                last_line = time.monotonic()
                text = f"download: {done / 1e6:.0f}{f' of {total / 1e6:.0f}' if total else ''} MB"
                _print(self._console, text, task="download", bytes_done=done, bytes=total)

        yield line

    def column_done(self) -> None:
        """One more column."""
        self._tasks[-1].update(columns=1)

    def chips_done(self, read: int, *, embedded: int) -> None:
        """More chips read, of which some got an embedding."""
        self._tasks[-1].update(read=read, embedded=embedded)


class _Task:
    def __init__(self, what: str, columns: int, chips: int, console: Console) -> None:
        self.what, self.columns, self.chips, self._console = what, columns, chips, console
        self.columns_done = self.read = self.embedded = 0
        self._started = self._last_line = time.monotonic()
        self._argo = _ArgoProgress(chips)
        self._bar: Bar | None = None
        self._id = TaskID(0)

    @contextmanager
    def display(self) -> Iterator[None]:
        with self._argo.kept_up_to_date(), self._display_bar():
            yield
        if self.chips:
            self._print(f" in {time.monotonic() - self._started:.0f} s")

    @contextmanager
    def _display_bar(self) -> Iterator[None]:
        if self.columns and _shows_bars(self._console):
            counts = TextColumn("{task.fields[counts]}")
            shown = (TextColumn("{task.description}"), BarColumn(), counts, TimeRemainingColumn(), TextColumn("left"))
            with Bar(*shown, console=self._console, transient=True) as self._bar:
                self._id = self._bar.add_task(self.what, total=self.chips or self.columns, counts=self.counts())
                yield
        else:
            yield

    def update(self, *, columns: int = 0, read: int = 0, embedded: int = 0) -> None:
        self.columns_done += columns
        self.read += read
        self.embedded += embedded
        self._argo.update(self.read)
        if self._bar:
            self._bar.update(self._id, completed=self.read if self.chips else self.columns_done, counts=self.counts())
        elif time.monotonic() - self._last_line >= LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            self._print(self._time_left())

    def counts(self) -> str:
        text = f"{self.columns_done}/{self.columns} columns"
        if self.embedded:
            rate = self._rate()
            text += f", {self.embedded} chips embedded, {rate:.{1 if rate < 10 else 0}f} chips/s"  # noqa: PLR2004
        return text

    def _print(self, end: str) -> None:
        fields = {"task": self.what, "columns_done": self.columns_done, "columns": self.columns}
        if self.chips:
            fields |= {"chips_done": self.read, "chips": self.chips, "embedded": self.embedded, "chips_per_second": round(self._rate(), 1)}
        _print(self._console, f"{self.what}: {self.counts()}{end}", **fields, seconds=round(time.monotonic() - self._started))

    def _rate(self) -> float:
        return self.embedded / max(time.monotonic() - self._started, 1e-3)

    def _time_left(self) -> str:
        done, total = (self.read, self.chips) if self.chips else (self.columns_done, self.columns)
        if not done:
            return ""
        seconds = (time.monotonic() - self._started) * (total - done) / done
        return f", about {seconds / 60:.0f} min left" if seconds >= 90 else f", about {seconds:.0f} s left"  # noqa: PLR2004


class _ArgoProgress:
    """The chips read, of all, in the file that Argo's executor looks at every few seconds; without chips, or outside Argo, nothing."""

    def __init__(self, chips: int) -> None:
        self._path = os.environ.get("ARGO_PROGRESS_FILE") if chips else None
        self._chips = chips
        self._read = 0
        self._written = -1
        self._last = 0.0

    @contextmanager
    def kept_up_to_date(self) -> Iterator[None]:
        """The file has the task's size from its beginning, and what was done in the end, however it ends."""
        self._write()
        try:
            yield
        finally:
            self._write()

    def update(self, read: int) -> None:
        self._read = read
        if read >= self._chips or time.monotonic() - self._last >= ARGO_EVERY_SECONDS:
            self._write()

    def _write(self) -> None:
        if not self._path or self._read == self._written:
            return
        self._written, self._last = self._read, time.monotonic()
        with suppress(OSError):  # a picture of the work, never a reason to stop it
            beside = Path(f"{self._path}.new")
            beside.write_text(f"{self._read}/{self._chips}\n")
            beside.replace(self._path)  # so that a reader finds one number or the other


def _shows_bars(console: Console) -> bool:
    return console.is_terminal and not is_json() and not console.quiet


def _print(console: Console, text: str, **fields: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    if console.quiet:
        return
    if is_json():
        click.echo(json_line(text, **fields), err=True)
    else:
        console.print(text, markup=False)
