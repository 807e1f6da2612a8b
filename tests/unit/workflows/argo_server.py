"""An Argo server, or a Kubernetes API, whose replies a test sets."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from workflows.clusters import Object
from workflows.definition import NAME, definition

TEMPLATE: Object = json.loads(json.dumps(definition().to_dict()))
TEMPLATE_PATH = f"/api/v1/workflow-templates/argo/{NAME}"
CREATE_PATH = "/api/v1/workflows/argo"

Reply = tuple[int, Any] | tuple[int, Any, dict[str, str]]
"""Status, body and, where they matter, headers."""


class Server:
    """An Argo server whose replies a test sets: (method, path) to a list of replies, the last of which stays."""

    def __init__(self) -> None:
        self.replies: dict[tuple[str, str], list[Reply]] = {}
        self.otherwise: list[Reply] = [(404, {"code": 5, "message": "not found"})]
        self.requests: list[tuple[str, str, Any, str | None]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                server.requests.append((self.command, self.path, body, self.headers.get("Authorization")))
                replies = server.replies.get((self.command, self.path), server.otherwise)
                status, reply, *headers = replies.pop(0) if len(replies) > 1 else replies[0]
                data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                for name, value in headers[0].items() if headers else ():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = answer  # noqa: N815 - the library's names

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
