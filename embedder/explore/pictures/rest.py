"""A rest for a server that failed, so that a page stays quick."""

import threading
import time

FIRST_REST_S, LONGEST_REST_S = 15.0, 300.0
"""After a failure nothing is asked for so long, and twice as long after each further one."""


class Rest:
    """Whether a server may be asked, for several threads."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._until = self._length = 0.0

    def may_ask(self) -> bool:
        """Whether to ask it now. After a rest one caller may, and the others once `answered` says that the server is back."""
        with self._changing:
            if time.monotonic() < self._until:
                return False
            if self._length:
                self._rest(min(2 * self._length, LONGEST_REST_S))
            return True

    def failed(self) -> None:
        """It failed."""
        with self._changing:
            if not self._length:  # of several that fail together the first counts
                self._rest(FIRST_REST_S)

    def answered(self) -> None:
        """It answered."""
        with self._changing:
            self._until = self._length = 0.0

    def _rest(self, length: float) -> None:
        self._until, self._length = time.monotonic() + length, length
