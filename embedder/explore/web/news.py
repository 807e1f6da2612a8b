"""What was published since the page was started: counted now and then, and loaded when somebody asks."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from embedder.explore.explorer import Explorer

LEAST_SECONDS = 60
"""Between two looks at the manifests, however many pages ask."""


@dataclass(kw_only=True)
class News:
    """Of one explorer. Safe to use from several threads."""

    explorer: Explorer
    count: Callable[[], int]
    """Columns that it has not read."""
    reopen: Callable[[], Explorer]
    _counted: int = 0
    _looked: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def columns(self) -> int:
        """How many are new, as of a minute ago at most."""
        with self._lock:
            if self._looked is None or time.monotonic() - self._looked >= LEAST_SECONDS:
                self._counted, self._looked = self.count(), time.monotonic()
            return self._counted

    def load(self) -> None:
        """Bring the explorer up to what is published."""
        with self._lock:
            self.explorer.take(self.reopen())
            self._counted, self._looked = 0, None
