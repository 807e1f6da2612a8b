"""What is tried again, and for how long: one policy for source, output and weights.

A `TemporaryError` is worth another attempt: no connection, no name, a timeout, a reset, a reply that broke off, arrived damaged or
trickled, 408, 425, 429, a status of 500 or more, S3's and STS's answers to who asks too often, an expired token (`s3_errors.py` and
`download.py` tell which). What a server says of one thing while it gives out others is doubted: the fault may be the way's, such as a
CDN's 403, or the thing's own. What is no S3's answer is trouble on the way where S3 has answered before. Everything else is final at once.
Patience is time, and begins with the first failure, so that whatever fails is asked for once more.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

from embedder.errors import NoS3Error, TemporaryError

T = TypeVar("T")

FIRST_CONTACT_S = 10
"""With a place that has not answered this process yet: a mistyped endpoint shows, and a pod has its further attempts."""
REACHED_S = 300
"""With a place that has: an embedded column, or gigabytes of weights, are worth the wait."""
DOUBT_S = 20
"""With one thing that is refused or damaged."""
PASSING_STATUSES = {408, 425, 429, *range(500, 600)}
"""HTTP's, of whatever may answer better the next time."""
WAIT = tenacity.wait_random_exponential(multiplier=0.5, max=20)
"""Between attempts, seconds: anything from none to twice as much each time, so that 1359 pods do not ask as one."""

now = time.monotonic
_answered: set[str] = set()
_given_up: set[str] = set()


def pause(seconds: float, stop: threading.Event) -> None:
    """Wait, unless `stop` is set."""
    stop.wait(seconds)


class Patience:
    """With the requests to one place. Safe to use from several threads."""

    def __init__(
        self,
        place: str,
        *,
        thing: str = "",
        damaged: tuple[type[Exception], ...] = (),
        refused: tuple[type[Exception], ...] = (),
        stop: threading.Event | None = None,
        tried_again: Callable[[], None] = lambda: None,
    ) -> None:
        """`damaged` and `refused` are the errors of the `thing` alone, which gets one attempt where it was given up before.

        What is damaged in one way, and then in another, is so by trouble on the way; a refusal may be worded anew each time. `stop`, once
        set, ends the waiting; `tried_again` is called before each further attempt.
        """
        self._place, self._thing, self._stop, self._tried_again = place, thing, stop or threading.Event(), tried_again
        self._refused, self._doubted = refused, (*damaged, *refused)

    def __call__(self, attempt: Callable[[], T]) -> T:
        """What `attempt` returns, or raises in the end."""
        began: dict[bool, float] = {}
        doubts: set[str] = set()

        def left(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            if not isinstance(error, TemporaryError):
                doubts.add("refused" if isinstance(error, self._refused) else str(error))
                _answered.add(self._place)
            is_doubted = not isinstance(error, TemporaryError) and len(doubts) == 1
            if is_doubted:
                limit = 0 if self._thing in _given_up else DOUBT_S
            else:
                limit = REACHED_S if self._place in _answered else FIRST_CONTACT_S
            remaining = limit - (now() - began.setdefault(is_doubted, now()))
            if is_doubted and remaining <= 0:
                _given_up.add(self._thing)
            return remaining

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((TemporaryError, *self._doubted)),
            stop=lambda state: self._stop.is_set() or left(state) <= 0,
            wait=lambda state: min(WAIT(state), max(left(state), 0)),
            before_sleep=lambda _state: self._tried_again(),
            sleep=lambda seconds: pause(seconds, self._stop),
            reraise=True,
        )
        try:
            result: T = retrying(self._once, attempt)
        except (NoS3Error, TemporaryError):
            raise
        except self._doubted as error:
            if len(doubts) > 1:
                raise TemporaryError(f"{error}: not the same twice, so that it is trouble on the way: try again later") from error
            raise
        except Exception:
            _answered.add(self._place)
            raise
        _answered.add(self._place)
        _given_up.discard(self._thing)
        return result

    def _once(self, attempt: Callable[[], T]) -> T:
        try:
            return attempt()
        except NoS3Error as error:
            if self._place in _answered:
                raise TemporaryError(f"{error}; it was S3 before, so try again later") from error
            raise
