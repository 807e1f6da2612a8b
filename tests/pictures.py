"""Pictures of chips: from tiles, from a WMS that behaves, and from ones that do not."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import rasterio

from embedder.explore.pictures.images import encode
from embedder.explore.pictures.pictures import Pictures
from embedder.explore.pictures.wms import Wms

TILE = encode(np.full((3, 320, 256), 77, np.uint8))


class FakeWms(BaseHTTPRequestHandler):
    """Answers each request with `answer`: status, type, body, further headers."""

    answer: tuple[int, str, bytes, dict[str, str]]
    asked: list[dict[str, list[str]]]

    def do_GET(self) -> None:
        self.asked.append(parse_qs(urlsplit(self.path).query))
        status, kind, body, headers = self.answer
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body))}.items() | headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def fake_wms(status: int = 200, kind: str = "image/png", body: bytes = b"", **headers: str) -> Iterator[tuple[str, list[Any]]]:
    handler = type("Handler", (FakeWms,), {"answer": (status, kind, body, headers), "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/wms", handler.asked  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


def picture(colour: int, *, driver: str = "PNG", width: int = 256) -> bytes:
    """A picture whose left half has another colour."""
    pixels = np.full((3, 300, width), colour, np.uint8)
    pixels[:, :, : width // 2] = 10
    with rasterio.MemoryFile() as memory:
        with memory.open(driver=driver, width=width, height=300, count=3, dtype="uint8") as dataset:
            dataset.write(pixels)
        data: bytes = memory.read()
        return data


def brightness(data: bytes) -> float:
    with rasterio.MemoryFile(data) as memory, memory.open() as dataset:
        assert dataset.driver == "JPEG"
        assert dataset.width == 256
        return float(dataset.read()[:, :, 200:].mean())


def chip_pictures(folder: Path, url: str | None, tile: bytes | None = None) -> Pictures:
    return Pictures(folder, Wms(url, "LAYER_{year}") if url else None, lambda _chip, _year: tile)
