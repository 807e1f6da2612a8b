"""Take an iterator's items in a thread, a few ahead of their use."""

import queue
import threading
from collections.abc import Generator
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Generator[T, None, None], limit: int) -> Generator[T, None, None]:
    """The same items, up to `limit` of them taken before they are asked for. What goes wrong is raised here, in its turn."""
    waiting: queue.Queue[Future[T] | None] = queue.Queue(limit)
    stopped = threading.Event()

    def take() -> None:
        while not stopped.is_set():
            future: Future[T] = Future()
            try:
                future.set_result(next(items))
            except StopIteration:
                waiting.put(None)
                return
            except BaseException as error:  # noqa: BLE001 - it is raised where the item is used
                future.set_exception(error)
            waiting.put(future)
        items.close()

    thread = threading.Thread(target=take, name="prefetch", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            yield item.result()
    finally:
        stopped.set()
        while thread.is_alive():
            while not waiting.empty():
                waiting.get()
            thread.join(timeout=0.01)
