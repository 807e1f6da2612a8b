"""What reading took: counted where it is done, in whatever thread."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Meter:
    """Bytes, requests, retries and seconds, as they come. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.bytes = 0
        """Fetched."""
        self.requests = 0
        """Also those that failed."""
        self.retries = 0
        """Attempts after the first."""
        self.seconds = 0.0
        """Of all threads that read, without what they waited between attempts."""

    def requested(self, requests: int = 1) -> None:
        """So many requests are about to be sent."""
        with self._lock:
            self.requests += requests

    def fetched(self, size: int) -> None:
        """So many bytes have come."""
        with self._lock:
            self.bytes += size

    def tried_again(self) -> None:
        """An attempt failed, and another one follows."""
        with self._lock:
            self.retries += 1

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count the time within, however it ends."""
        began = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.seconds += time.perf_counter() - began
