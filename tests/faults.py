"""An HTTP proxy that breaks the replies it is told to break, and remembers what it served."""

import ssl
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

HOP_BY_HOP = {"connection", "expect", "keep-alive", "transfer-encoding"}
"""Headers that concern one connection, and are not passed on."""


class Fault(Enum):
    """How a request that the server behind does handle goes wrong."""

    HALF_BODY = auto()
    """The connection closes after half of the reply's body."""
    FLIPPED_BYTE = auto()
    """The last bit of the reply's body is wrong."""
    FLIPPED_UPLOAD = auto()
    """The last bit of the request's body is wrong."""
    LOST_REPLY = auto()
    """The connection closes without a reply."""
    HANG = auto()
    """No reply comes until the proxy stops."""
    TRICKLE = auto()
    """The reply comes byte by byte, 50 a second, until the client has had enough or the proxy stops."""


@dataclass(frozen=True)
class Flipped:
    """One bit of the reply's body is wrong."""

    at: int
    """The place of its byte, counted round and round where the body is shorter."""


@dataclass(frozen=True)
class Refusal:
    """An answer in place of that of the server behind, which never sees the request."""

    status: int
    code: str = ""
    """S3's name of the error; without one the answer has no body."""
    message: str = "injected"
    page: str = ""
    """In place of S3's error."""

    @property
    def body(self) -> bytes:
        """The error as S3 writes it."""
        if self.page or not self.code:
            return self.page.encode()
        return f"<?xml version='1.0'?><Error><Code>{self.code}</Code><Message>{self.message}</Message></Error>".encode()


@dataclass(frozen=True)
class Served:
    """One request, and how it was answered."""

    method: str
    path: str
    """With its query."""
    headers: dict[str, str]
    """Of the request, names in lower case."""
    status: int
    bytes_sent: int
    """Of the body."""


@dataclass
class _Order:
    fault: Fault | Flipped | Refusal
    method: str
    path: str
    times: int


class FaultyProxy:
    """A proxy at `url` in front of `upstream` (http://host:port), while its context lasts."""

    def __init__(self, upstream: str, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        """With `tls` it speaks https; `host` is the address that it listens at."""
        self.served: list[Served] = []
        """Every request that got a reply, in the order of the replies."""
        self.is_away = False
        """Each connection closes without a reply, and the server behind sees no request."""
        self.delay_s = 0.0
        """Before each reply."""
        self.stopping = threading.Event()
        self.upstream = urlsplit(upstream).netloc
        self._orders: list[_Order] = []
        self._lock = threading.Lock()
        self._server = _Server((host, 0), type("Handler", (_Handler,), {"proxy": self}))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://{host}:{self._server.server_port}"

    def inject(self, fault: Fault | Flipped | Refusal, *, method: str = "GET", path: str = "", times: int = 1) -> None:
        """Break the next `times` requests of this method whose path contains `path`; orders apply in the order given."""
        self._orders.append(_Order(fault, method, path, times))

    def forget(self) -> None:
        """Break nothing any more."""
        self._orders.clear()

    def take(self, method: str, path: str) -> Fault | Flipped | Refusal | None:
        """The fault that is due for this request, if any; each is used up."""
        with self._lock:
            for order in self._orders:
                if order.times and order.method == method and order.path in path:
                    order.times -= 1
                    return order.fault
        return None

    def count(self, method: str, path: str = "") -> int:
        """How many requests of this method, with `path` in their path, were served."""
        return sum(served.method == method and path in served.path for served in self.served)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    """Connections that may wait: as many as threads may open at once."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that did not trust the certificate, or that has gone."""
        if not isinstance(sys.exception(), (ssl.SSLError, ConnectionError)):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultyProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a body waits until the client has confirmed the headers: 40 ms
    timeout = 30

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.proxy.is_away:
            self.close_connection = True
            return
        self.proxy.stopping.wait(self.proxy.delay_s)
        fault = self.proxy.take(self.command, self.path)
        if isinstance(fault, Refusal):
            etag = [("ETag", '"0"')] if fault.status == HTTPStatus.OK else []  # as every S3 has it
            self._reply(fault.status, [("Content-Length", str(len(fault.body))), *etag], fault.body)
            return
        status, headers, reply = self._forward(_flipped(body) if fault is Fault.FLIPPED_UPLOAD else body)
        if fault is Fault.HANG:
            self.proxy.stopping.wait()
        if fault in (Fault.HANG, Fault.LOST_REPLY):
            self.close_connection = True
            return
        if fault is Fault.FLIPPED_BYTE:
            reply = _flipped(reply)
        if isinstance(fault, Flipped) and reply:
            at = fault.at % len(reply)
            reply = reply[:at] + bytes([reply[at] ^ 1]) + reply[at + 1 :]
        if fault is Fault.HALF_BODY:
            reply = reply[: len(reply) // 2]
            self.close_connection = True
        self._reply(status, headers, reply, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - the names that http.server looks for

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Ask the server behind, with the client's own Host header, which its signature covers."""
        connection = HTTPConnection(self.proxy.upstream, timeout=30)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            reply = answer.read()
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]
            if answer.getheader("Content-Length") is None:
                headers.append(("Content-Length", str(len(reply))))
            return answer.status, headers, reply
        finally:
            connection.close()

    def _reply(self, status: int, headers: list[tuple[str, str]], body: bytes, fault: object = None) -> None:
        sent = b"" if self.command == "HEAD" else body
        asked = {name.lower(): value for name, value in self.headers.items()}
        self.proxy.served.append(Served(self.command, self.path, asked, status, len(sent)))
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if fault is not Fault.TRICKLE:
            self.wfile.write(sent)
            return
        self.close_connection = True
        with suppress(OSError):
            for byte in sent:
                if self.proxy.stopping.wait(0.02):
                    break
                self.wfile.write(bytes([byte]))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1]) if data else data
