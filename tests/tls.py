"""A server's certificate from a CA that nobody knows, and an HTTP proxy that wants a password.

The certificates in `golden/tls` are good to 2120, for 127.0.0.1, localhost and s3.example; the key of the CA is gone.
"""

import select
import socket
import ssl
import threading
from base64 import b64encode
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from types import TracebackType
from typing import Self

CA = Path(__file__).parent / "golden" / "tls" / "ca.pem"
SERVER = CA.with_name("server.pem")
"""The server's certificate and key."""
LOGIN = "user:p@ss/w#rd"


def server_context() -> ssl.SSLContext:
    """For a server on this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SERVER)
    return context


class ForwardProxy:
    """An HTTP proxy for https at `address` (host:port), while its context lasts; every host leads to one port of this machine."""

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        """What it connected to, host:port, in the order of the requests."""
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Tunnel,), {"proxy": self, "port": port}))
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingTCPServer):
    daemon_threads = True


class _Tunnel(StreamRequestHandler):
    proxy: ForwardProxy
    port: int

    def handle(self) -> None:
        head = b"".join(iter(self.rfile.readline, b"\r\n")).decode()
        if f"Basic {b64encode(LOGIN.encode()).decode()}" not in head:
            status = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Type: text/html\r\n"
            self.wfile.write(status + b"Content-Length: 19\r\n\r\n<html>login</html>\n")
            return
        self.proxy.asked.append(head.split()[1])
        with socket.create_connection(("127.0.0.1", self.port)) as upstream:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            other = {self.connection: upstream, upstream: self.connection}
            while True:
                for ready in select.select(list(other), [], [])[0]:
                    data = ready.recv(65_536)
                    if not data:
                        return
                    other[ready].sendall(data)
