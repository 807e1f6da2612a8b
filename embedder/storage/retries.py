"""How often and how long anything is tried again, each time after a longer wait, with jitter so that 1359 pods do not ask as one."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

import tenacity
from tenacity.wait import WaitBaseT


@dataclass(frozen=True, kw_only=True)
class Patience:
    """With one kind of request."""

    attempts: int
    """The first included."""
    limit_s: float = math.inf
    """Seconds after which nothing is tried again."""
    wait: WaitBaseT
    """Between attempts, seconds."""

    def retrying(self, worth_it: Callable[[BaseException], bool], stop: threading.Event | None = None) -> tenacity.Retrying:
        """Call again after errors that are worth it, the last of which is raised in the end. `stop`, once set, ends the waiting."""
        stop = stop or threading.Event()
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(worth_it),
            stop=tenacity.stop_after_attempt(self.attempts) | tenacity.stop_after_delay(self.limit_s) | tenacity.stop_when_event_set(stop),
            wait=self.wait,
            sleep=tenacity.sleep_using_event(stop),
            reraise=True,
        )


SOURCE = Patience(attempts=6, wait=tenacity.wait_exponential_jitter(multiplier=0.5, max=20, jitter=1.0))
"""With a read or a listing of the source: the waits add up to some 20 s."""
OUTPUT = Patience(attempts=5, limit_s=300, wait=tenacity.wait_random_exponential(multiplier=0.5, max=20))
"""With a read or a write of the output, besides boto3's own attempts, as many, at what it knows to be worth them."""
CHECKPOINT = Patience(attempts=5, wait=tenacity.wait_random_exponential(multiplier=1.0, max=30))
"""With the download of a checkpoint: attempts in a row of which none adds to what is there."""
