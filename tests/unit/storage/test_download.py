"""Checkpoints fetched whole or refused, from servers that fail in every way."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embedder.errors import TemporaryError, WeightsError
from embedder.models.weights import slim
from embedder.storage.download import fetch_checkpoint
from tests.patience import limit_attempts
from tests.s3_server import S3Server
from tests.tiny_weights import TINY, one_line


class Server(ThreadingHTTPServer):
    """Answers with the next of its replies: a status, or the bytes sent of `body`; then with all of it."""

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = body
        self.replies: list[int] = []
        """Statuses from 300 up; smaller numbers are the bytes after which a reply breaks off."""
        self.requests = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/folder/model.ckpt"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.requests += 1
        reply = server.replies.pop(0) if server.replies else len(server.body)
        status = 200 if reply < 300 or reply == len(server.body) else reply
        self.send_response(status)
        if status == 302:
            self.send_header("Location", server.url)
        self.send_header("Content-Length", str(len(server.body) if status == 200 else 0))
        self.send_header("ETag", '"1"')  # as S3 does
        self.end_headers()
        if status == 200:
            self.wfile.write(server.body[:reply])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        pass


@pytest.fixture
def server(tiny_ckpt: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    limit_attempts(monkeypatch, 3)
    with Server(tiny_ckpt.read_bytes()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_weights_are_fetched_when_the_location_is_a_url(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch_checkpoint(server.url, tmp_path / "got", lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == server.body
    assert seen[-1] == (len(server.body), len(server.body))


def test_redirects_are_followed_when_the_server_sends_them(server: Server, tmp_path: Path) -> None:
    server.replies = [302, 302]
    assert fetch_checkpoint(server.url, tmp_path / "got").read_bytes() == server.body


def test_refused_when_redirects_never_end(server: Server, tmp_path: Path) -> None:
    server.replies = [302] * 50
    with pytest.raises(WeightsError, match="without end"):
        fetch_checkpoint(server.url, tmp_path / "got")


@pytest.mark.parametrize("trouble", [0, 100, 250, 429, 500, 503])
def test_fetch_is_repeated_when_the_trouble_passes(trouble: int, server: Server, tmp_path: Path) -> None:
    server.replies = [trouble, trouble]
    assert fetch_checkpoint(server.url, tmp_path / "got").read_bytes() == server.body
    assert server.requests == 3


@pytest.mark.parametrize("trouble", [100, 503])
def test_temporary_error_when_the_trouble_outlasts_the_attempts(trouble: int, server: Server, tmp_path: Path) -> None:
    server.replies = [trouble] * 9
    with pytest.raises(TemporaryError, match="again"):
        fetch_checkpoint(server.url, tmp_path / "got")
    assert server.requests == 3


@pytest.mark.parametrize("status", [401, 403, 404, 410, 418])
def test_refused_at_once_when_the_server_says_that_it_is_not_there(status: int, server: Server, tmp_path: Path) -> None:
    server.replies = [status] * 9
    with pytest.raises(WeightsError, match=f"answers {status}"):
        fetch_checkpoint(server.url, tmp_path / "got")
    assert server.requests == 1


def test_secrets_stay_out_of_messages_when_the_url_holds_some(server: Server, tmp_path: Path) -> None:
    server.replies = [404]
    with pytest.raises(WeightsError) as error:
        fetch_checkpoint(server.url.replace("//", "//user:hunter2@") + "?X-Amz-Signature=hunter2", tmp_path / "got")
    assert "hunter2" not in str(error.value)
    server.replies = [503] * 3
    with pytest.raises(TemporaryError) as trouble:
        fetch_checkpoint(server.url + "?X-Amz-Signature=hunter2", tmp_path / "got")
    assert "hunter2" not in str(trouble.value)


def test_the_address_is_named_when_what_was_fetched_is_no_checkpoint(server: Server, tmp_path: Path) -> None:
    server.body = b"this is a page, not a checkpoint"
    with pytest.raises(WeightsError) as error:
        slim(server.url, tmp_path / "slim", TINY)
    assert one_line(error).startswith(f"{server.url} is neither")


def test_weights_come_through_the_proxy_when_the_environment_names_one(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/folder/model.ckpt"))
    assert fetch_checkpoint("http://weights.invalid/model.ckpt", tmp_path / "got").read_bytes() == server.body


def test_temporary_error_when_nobody_listens(server: Server, tmp_path: Path) -> None:
    url = server.url
    server.server_close()
    with pytest.raises(TemporaryError, match="could not be downloaded"):
        fetch_checkpoint(url, tmp_path / "got")


@pytest.mark.parametrize(
    "location", ["ftp://host/x", "https://", "https://host:port/x", "s3://bucket", "s3:///key", "s3://no such bucket!/key", "htps://h/x"]
)
def test_refused_at_once_when_the_address_is_misspelt(location: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as error:
        fetch_checkpoint(location, tmp_path / "got")
    one_line(error)


def test_weights_are_fetched_when_the_location_is_in_s3(bucket: str, s3: S3Server, tiny_ckpt: Path, tmp_path: Path) -> None:
    s3.client().upload_file(str(tiny_ckpt), bucket, "v0/tiny.ckpt")
    seen: list[tuple[int, int | None]] = []
    path = fetch_checkpoint(f"s3://{bucket}/v0/tiny.ckpt", tmp_path / "got", lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == tiny_ckpt.read_bytes()
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)


def test_refused_when_s3_has_no_such_object_or_bucket(bucket: str, tmp_path: Path) -> None:
    for location in (f"s3://{bucket}/absent.ckpt", "s3://no-such-bucket/absent.ckpt"):
        with pytest.raises(WeightsError, match=location):
            fetch_checkpoint(location, tmp_path / "got")


@pytest.fixture
def s3_url(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url.removesuffix("/folder/model.ckpt"))
    return "s3://folder/model.ckpt"


@pytest.mark.parametrize("trouble", [0, 100, 503])
def test_fetch_from_s3_is_repeated_when_the_trouble_passes(trouble: int, s3_url: str, server: Server, tmp_path: Path) -> None:
    server.replies = [trouble, trouble]
    assert fetch_checkpoint(s3_url, tmp_path / "got").read_bytes() == server.body
    assert server.requests == 3


def test_temporary_error_when_the_trouble_with_s3_outlasts_the_attempts(s3_url: str, server: Server, tmp_path: Path) -> None:
    server.replies = [503] * 9
    with pytest.raises(TemporaryError, match="503"):
        fetch_checkpoint(s3_url, tmp_path / "got")
    assert server.requests == 3


def test_refused_at_once_when_s3_forbids(s3_url: str, server: Server, tmp_path: Path) -> None:
    server.replies = [403] * 9
    with pytest.raises(WeightsError, match="403"):
        fetch_checkpoint(s3_url, tmp_path / "got")
    assert server.requests == 1
