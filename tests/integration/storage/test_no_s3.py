"""An endpoint that is no S3, such as a plain web server, is named as such at once: it will not become one."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from embedder.cli.command import exit_code_of
from embedder.cli.steps import cli
from embedder.errors import NoS3Error, TemporaryError
from embedder.source.inventory import list_tiles, open_source
from embedder.storage import open_storage
from embedder.storage.download import check_readable
from tests.patience import skip_waits
from tests.s3_server import aws_environment

PAGE = b"<!doctype html><html><body>Welcome</body></html>"
XHTML = b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><body><p>Welcome</p></body></html>"
ERROR = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>busy</Message></Error>"
HTML = {"Content-Type": "text/html"}


@dataclass
class Answer:
    """The same to every request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class WebServer:
    """A server at `url`, and how often it was asked."""

    url: str
    answer: Answer = field(default_factory=Answer)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """The S3 endpoint is a web server."""

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.requests.append(f"{self.command} {self.path}")
            self.send_response(found.answer.status)
            for name, value in found.answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(found.answer.body)

        do_GET = do_HEAD = do_PUT = reply  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = WebServer(url=f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    for name, value in aws_environment(found.url).items():
        monkeypatch.setenv(name, value)
    yield found
    server.shutdown()
    server.server_close()


USES: dict[str, Callable[[str], object]] = {
    "output": lambda _: open_storage("s3://bucket/prefix").check_writable(),
    "read": lambda _: open_storage("s3://bucket/prefix").get("_run.json"),
    "source": lambda url: list_tiles(open_source(f"{url}/bucket/prefix"), 2020),
}
ANSWERS = {
    "redirected folders": Answer(301, b"<html>Moved</html>", {"Location": "/bucket/", **HTML}),
    "bare redirects": Answer(302, b"", {"Location": "/login"}),
    "pages": Answer(200, PAGE, HTML),
    "XHTML pages": Answer(200, XHTML, HTML),
    "not found": Answer(404, PAGE, HTML),
    "forbidden": Answer(403, PAGE, HTML),
    "bad requests": Answer(400, b"Client sent an HTTP request to an HTTPS server.", {"Content-Type": "text/plain"}),
    "nothing": Answer(200),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("answer", ANSWERS)
def test_an_endpoint_is_no_s3_when_it_answers_as_none_does(use: str, answer: str, web: WebServer) -> None:
    web.answer = ANSWERS[answer]
    with pytest.raises(NoS3Error, match=f"{web.url} is no S3") as raised:
        USES[use](web.url)
    assert "\n" not in str(raised.value)
    assert "without a signature" not in str(raised.value)
    assert len(web.requests) == 1  # a second answer would be the same


@pytest.mark.parametrize("answer", ["redirected folders", "pages", "not found"])
def test_weights_are_refused_when_their_endpoint_is_no_s3(answer: str, web: WebServer) -> None:
    web.answer = ANSWERS[answer]
    with pytest.raises(Exception, match=f"{web.url} is no S3") as raised:
        check_readable("s3://bucket/weights.ckpt")
    assert raised.value.exit_code == 78  # type: ignore[attr-defined]
    assert len(web.requests) == 1


@pytest.mark.parametrize("answer", ["pages", "nothing"])
def test_a_put_is_refused_when_its_endpoint_answers_as_none_does(web: WebServer, answer: str) -> None:
    web.answer = ANSWERS[answer]
    with pytest.raises(NoS3Error):
        open_storage("s3://bucket/prefix").put("key", b"data")
    assert len(web.requests) == 1


def test_the_preflight_ends_with_78_and_names_the_endpoint(
    web: WebServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    web.answer = ANSWERS["redirected folders"]
    line = f"embedder preflight --year 2020 --output s3://bucket/out --source {web.url}/bucket --weights random:1"
    monkeypatch.setattr("sys.argv", line.split())
    assert exit_code_of(cli, "embedder") == 78
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("failed")]
    assert len(failed) == 2
    assert all(f"{web.url} is no S3" in line for line in failed)


@pytest.mark.parametrize(
    "answer", [Answer(503, PAGE, HTML), Answer(200, ERROR), Answer(429, PAGE, HTML), Answer(503, ERROR)], ids=["503", "200", "429", "S3"]
)
def test_what_may_pass_is_tried_again_when_it_comes_from_an_s3_or_what_stands_before_it(
    answer: Answer, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_waits(monkeypatch)
    web.answer = answer
    with pytest.raises(TemporaryError):
        list(open_storage("s3://bucket/prefix").list())
    assert len(web.requests) > 1
