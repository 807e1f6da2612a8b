import threading
import time
from collections.abc import Generator

import pytest

from embedder.steps.prefetch import prefetch


class Counted:
    """A generator of 0, 1, 2, ... that says how far it was taken, and whether it was closed."""

    def __init__(self, stop: int, *, error_at: int | None = None) -> None:
        self.taken = 0
        self.closed = threading.Event()
        self.items = self._items(stop, error_at)

    def _items(self, stop: int, error_at: int | None) -> Generator[int, None, None]:
        try:
            for number in range(stop):
                if number == error_at:
                    raise ValueError(f"no {number}")
                self.taken += 1
                yield number
        finally:
            self.closed.set()


def prefetching_threads() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


@pytest.mark.parametrize("most", [1, 2, 7, 100])
def test_the_items_come_in_their_order_when_taken_ahead(most: int) -> None:
    assert list(prefetch(Counted(50).items, most)) == list(range(50))
    assert prefetching_threads() == 0


def test_no_more_than_so_many_items_wait_when_nobody_takes_them() -> None:
    counted = Counted(1_000)
    items = prefetch(counted.items, 4)
    assert next(items) == 0
    deadline = time.monotonic() + 5
    while counted.taken < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert counted.taken == 6  # one used, four waiting, one in the thread's hand
    items.close()


def test_an_error_is_raised_in_its_turn_when_an_item_fails() -> None:
    items = prefetch(Counted(10, error_at=3).items, 8)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no 3"):
        next(items)
    assert prefetching_threads() == 0


@pytest.mark.parametrize("used", [1, 5])
def test_the_generator_is_closed_and_the_thread_gone_when_the_user_stops_early(used: int) -> None:
    counted = Counted(1_000)
    items = prefetch(counted.items, 3)
    for _ in range(used):
        next(items)
    items.close()
    assert counted.closed.is_set()
    assert counted.taken < 20
    assert prefetching_threads() == 0


def test_nothing_is_taken_when_nothing_is_asked_for() -> None:
    counted = Counted(10)
    prefetch(counted.items, 3).close()
    assert counted.taken == 0
    assert prefetching_threads() == 0
