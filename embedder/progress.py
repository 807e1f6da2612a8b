"""What a person sees while a step runs: a bar on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

LINE_EVERY_SECONDS = 15


class Progress:
    """Counts columns and chips. Everything it says goes to standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._tasks: list[_Task] = []

    def say(self, text: str) -> None:
        """One line, above the bar where there is one."""
        self._console.print(text, markup=False)

    @contextmanager
    def task(self, what: str, *, columns: int, chips: int = 0) -> Iterator[None]:
        """Count what is done within: columns, and where `chips` is given also chips to be read. Nothing is shown of an empty task."""
        task = _Task(what, columns, chips, self._console)
        self._tasks.append(task)
        try:
            with task.shown():
                yield
        finally:
            self._tasks.remove(task)

    @contextmanager
    def download(self) -> Iterator[Callable[[int, int | None], None]]:
        """What is yielded is called with the bytes so far and their total, if that is known."""
        last_line = time.monotonic()
        if self._console.is_terminal:
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
                self.say(f"download: {done / 1e6:.0f}{f' of {total / 1e6:.0f}' if total else ''} MB")

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
        self._bar: Bar | None = None
        self._id = TaskID(0)

    @contextmanager
    def shown(self) -> Iterator[None]:
        if not self.columns:
            yield
        elif self._console.is_terminal:
            counts = TextColumn("{task.fields[counts]}")
            shown = (TextColumn("{task.description}"), BarColumn(), counts, TimeRemainingColumn(), TextColumn("left"))
            with Bar(*shown, console=self._console, transient=True) as self._bar:
                self._id = self._bar.add_task(self.what, total=self.chips or self.columns, counts=self.counts())
                yield
        else:
            yield
        if self.chips:
            self._console.print(f"{self.what}: {self.counts()} in {time.monotonic() - self._started:.0f} s", markup=False)

    def update(self, *, columns: int = 0, read: int = 0, embedded: int = 0) -> None:
        self.columns_done += columns
        self.read += read
        self.embedded += embedded
        if self._bar:
            self._bar.update(self._id, completed=self.read if self.chips else self.columns_done, counts=self.counts())
        elif time.monotonic() - self._last_line >= LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(f"{self.what}: {self.counts()}{self._time_left()}", markup=False)

    def counts(self) -> str:
        text = f"{self.columns_done}/{self.columns} columns"
        if self.embedded:
            rate = self.embedded / max(time.monotonic() - self._started, 1e-3)
            text += f", {self.embedded} chips embedded, {rate:.{1 if rate < 10 else 0}f} chips/s"  # noqa: PLR2004
        return text

    def _time_left(self) -> str:
        done, total = (self.read, self.chips) if self.chips else (self.columns_done, self.columns)
        if not done:
            return ""
        seconds = (time.monotonic() - self._started) * (total - done) / done
        return f", about {seconds / 60:.0f} min left" if seconds >= 90 else f", about {seconds:.0f} s left"  # noqa: PLR2004
