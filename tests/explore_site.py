"""The page's server in this process, and what it answers."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
import uvicorn

from embedder.explore.explorer import Explorer
from embedder.explore.pictures.pictures import Pictures
from embedder.explore.web.serve import listen
from embedder.explore.web.server import make_app


@contextmanager
def served(explorer: Explorer, pictures: Pictures, **options: Any) -> Iterator[str]:  # noqa: ANN401
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(make_app(explorer, pictures, **options), log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def get(url: str, **settings: Any) -> tuple[int, Any, Any]:  # noqa: ANN401
    """Status, headers, and what JSON says, or the bytes."""
    reply = urllib3.request(settings.pop("method", "GET"), url, redirect=False, retries=False, **settings)
    kind = reply.headers.get("Content-Type", "")
    return reply.status, reply.headers, reply.json() if "json" in kind else reply.data
