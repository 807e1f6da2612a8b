"""How the source is asked again: a few times, each after a longer wait, with jitter so that 1359 pods do not ask as one."""

import threading

import tenacity

ATTEMPTS = 6
"""Of one read, the first included; the waits between them add up to some 20 s."""
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 20
JITTER_SECONDS = 1.0


def retrying(*errors: type[Exception], stop: threading.Event | None = None) -> tenacity.Retrying:
    """Call again after these errors, the last of which is raised in the end. `stop`, once set, ends the waiting."""
    stop = stop or threading.Event()
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(errors),
        stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_when_event_set(stop),
        wait=tenacity.wait_exponential_jitter(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS, jitter=JITTER_SECONDS),
        sleep=tenacity.sleep_using_event(stop),
        reraise=True,
    )
