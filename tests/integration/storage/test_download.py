"""Downloads that break off: they go on where they did, unless the file or the server gives a reason to begin anew."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embedder.errors import TemporaryError
from embedder.storage import download
from embedder.storage.download import fetch_checkpoint
from tests.faults import Fault, FaultyProxy, Refusal
from tests.patience import limit_attempts
from tests.s3_server import S3Server

SIZE = 10_000
BODY, OTHER = os.urandom(SIZE), os.urandom(SIZE - 3_000)
CHUNK = 1_000
"""A multiple of it is what a broken reply leaves behind."""
REFUSED = -1
"""In place of the bytes after which a reply breaks off: it is a 503."""


class Server(ThreadingHTTPServer):
    """Serves one file, by Range and If-Range as RFC 9110 has it, unless told to do otherwise."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = BODY
        self.headers: dict[str, str | None] = {"ETag": '"1"'}
        """Of each reply; what is None here is left out."""
        self.of_ranges: dict[str, str | None] = {}
        """The same, of replies to a Range only."""
        self.breaks: list[int] = []
        """After how many bytes the next replies break off."""
        self.ranges: list[str | None] = []
        """What was asked for."""
        self.sent = 0
        """Bytes, of all replies."""
        self.takes_ranges = True
        self.minds_if_range = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/model.ckpt"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        same = not server.minds_if_range or self.headers.get("If-Range") == server.headers["ETag"]
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.takes_ranges and same else None
        status, content = (200, server.body) if start is None else (206, server.body[start:])
        headers: dict[str, str | None] = {"Content-Length": str(len(content)), **server.headers}
        if start is not None and start >= len(server.body):
            status, content, headers = 416, b"", {"Content-Length": "0", "Content-Range": f"bytes */{len(server.body)}"}
        elif start is not None:
            headers |= {"Content-Range": f"bytes {start}-{len(server.body) - 1}/{len(server.body)}"} | server.of_ranges
        if server.breaks[:1] == [REFUSED]:
            status, content, headers = 503, b"", {"Content-Length": "0"}
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        content = content[: server.breaks.pop(0)] if server.breaks else content
        server.sent += len(content)
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_attempts(monkeypatch, 3)
    monkeypatch.setattr(download, "CHUNK", CHUNK)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def once(do: Callable[[], object]) -> Callable[[int, int | None], None]:
    """A progress that does something at the first of its calls: while the first reply is read."""
    left = [do]

    def progress(_done: int, _total: int | None) -> None:
        if left:
            left.pop()()

    return progress


class TestHttp:
    def test_download_goes_on_where_it_broke_off_when_the_file_is_the_same(self, server: Server, tmp_path: Path) -> None:
        server.breaks = [4_000, 3_000]
        seen: list[tuple[int, int | None]] = []
        path = fetch_checkpoint(server.url, tmp_path / "got", lambda done, total: seen.append((done, total)))
        assert path.read_bytes() == BODY
        assert server.ranges == [None, "bytes=4000-", "bytes=7000-"]
        assert server.sent == SIZE
        assert seen == [(done, SIZE) for done in range(CHUNK, SIZE + 1, CHUNK)]

    def test_download_ends_well_when_it_breaks_more_often_than_it_may_fail(self, server: Server, tmp_path: Path) -> None:
        server.breaks = [1_000] * 9
        assert fetch_checkpoint(server.url, tmp_path / "got").read_bytes() == BODY
        assert server.sent == SIZE

    def test_temporary_error_when_nothing_more_comes(self, server: Server, tmp_path: Path) -> None:
        server.breaks = [4_000, 1_000] + [0] * 99
        with pytest.raises(TemporaryError, match="again"):
            fetch_checkpoint(server.url, tmp_path / "got")
        assert server.ranges == [None, "bytes=4000-"] + ["bytes=5000-"] * 4  # the round that gained something, and another

    def test_temporary_error_after_the_usual_attempts_when_the_server_always_begins_anew(self, server: Server, tmp_path: Path) -> None:
        server.takes_ranges = False
        server.breaks = [1_000, 2_000, 3_000, 4_000]
        with pytest.raises(TemporaryError, match="again"):
            fetch_checkpoint(server.url, tmp_path / "got")
        assert len(server.ranges) == 3

    def test_part_is_kept_when_other_trouble_comes_between(self, server: Server, tmp_path: Path) -> None:
        server.breaks = [4_000, REFUSED]
        assert fetch_checkpoint(server.url, tmp_path / "got").read_bytes() == BODY
        assert server.ranges == [None, "bytes=4000-", "bytes=4000-"]

    @pytest.mark.parametrize("etag", [None, 'W/"1"', "1"], ids=["none", "weak", "unquoted"])
    def test_download_begins_anew_when_the_etag_does_not_tell_bytes_apart(self, server: Server, tmp_path: Path, etag: str | None) -> None:
        server.headers["ETag"] = etag
        server.breaks = [4_000]
        assert fetch_checkpoint(server.url, tmp_path / "got").read_bytes() == BODY
        assert server.ranges == [None, None]

    def test_download_begins_anew_when_the_body_is_encoded(self, server: Server, tmp_path: Path) -> None:
        server.headers["Content-Encoding"] = "aes128gcm"  # which nobody decodes
        server.breaks = [4_000]
        assert fetch_checkpoint(server.url, tmp_path / "got").read_bytes() == BODY
        assert server.ranges == [None, None]

    def test_download_begins_anew_when_the_server_knows_no_ranges(self, server: Server, tmp_path: Path) -> None:
        server.takes_ranges = False
        server.breaks = [4_000]
        assert fetch_checkpoint(server.url, tmp_path / "got").read_bytes() == BODY
        assert server.ranges == [None, "bytes=4000-"]

    @pytest.mark.parametrize("minds_if_range", [True, False])
    def test_download_begins_anew_when_the_file_changes(self, server: Server, tmp_path: Path, *, minds_if_range: bool) -> None:
        def change() -> None:
            server.body, server.headers["ETag"] = OTHER, '"2"'

        server.minds_if_range = minds_if_range
        server.breaks = [4_000]
        assert fetch_checkpoint(server.url, tmp_path / "got", once(change)).read_bytes() == OTHER
        assert server.ranges == [None, "bytes=4000-"] + [None] * (not minds_if_range)

    def test_part_of_the_other_file_is_kept_when_it_breaks_off_too(self, server: Server, tmp_path: Path) -> None:
        def change() -> None:
            server.body, server.headers["ETag"] = OTHER, '"2"'

        server.breaks = [6_000, 2_000]
        assert fetch_checkpoint(server.url, tmp_path / "got", once(change)).read_bytes() == OTHER
        assert server.ranges == [None, "bytes=6000-", "bytes=2000-"]

    def test_nothing_is_kept_when_the_other_file_has_no_etag(self, server: Server, tmp_path: Path) -> None:
        def change() -> None:
            server.body, server.headers["ETag"] = OTHER, None

        server.breaks = [6_000, 2_000]
        assert fetch_checkpoint(server.url, tmp_path / "got", once(change)).read_bytes() == OTHER
        assert server.ranges == [None, "bytes=6000-", None]

    def test_download_begins_anew_when_the_range_is_not_to_be_had(self, server: Server, tmp_path: Path) -> None:
        def shorten() -> None:
            server.body = BODY[:3_000]

        server.breaks = [4_000]
        assert fetch_checkpoint(server.url, tmp_path / "got", once(shorten)).read_bytes() == BODY[:3_000]
        assert server.ranges == [None, "bytes=4000-", None]

    @pytest.mark.parametrize(
        "header",
        [None, "bytes 3999-9999/10000", "bytes 4001-9999/10000", "bytes */10000", "4000-9999/10000", "bytes 4000-9999/9000"],
    )
    def test_download_begins_anew_when_the_server_sends_another_range(self, server: Server, tmp_path: Path, header: str | None) -> None:
        server.of_ranges["Content-Range"] = header
        server.breaks = [4_000]
        assert fetch_checkpoint(server.url, tmp_path / "got").read_bytes() == BODY
        assert server.ranges == [None, "bytes=4000-", None]

    def test_download_goes_on_when_the_server_does_not_say_the_total(self, server: Server, tmp_path: Path) -> None:
        server.of_ranges = {"Content-Range": "bytes 4000-9999/*", "ETag": None}
        server.breaks = [4_000]
        assert fetch_checkpoint(server.url, tmp_path / "got").read_bytes() == BODY
        assert server.ranges == [None, "bytes=4000-"]

    def test_download_is_not_taken_for_whole_when_less_comes_than_the_server_says(self, server: Server, tmp_path: Path) -> None:
        server.of_ranges["Content-Range"] = "bytes 4000-9999/10001"
        server.breaks = [4_000]
        assert fetch_checkpoint(server.url, tmp_path / "got").read_bytes() == BODY
        assert server.ranges == [None, "bytes=4000-", "bytes=10000-", None]


class TestS3:
    @pytest.fixture
    def url(self, faulty_bucket: str, s3: S3Server) -> str:
        s3.client().put_object(Bucket=faulty_bucket, Key="model.ckpt", Body=BODY)
        return f"s3://{faulty_bucket}/model.ckpt"

    def test_download_goes_on_where_it_broke_off_when_the_object_is_the_same(self, url: str, proxy: FaultyProxy, tmp_path: Path) -> None:
        proxy.inject(Fault.HALF_BODY, times=2)
        assert fetch_checkpoint(url, tmp_path / "got").read_bytes() == BODY
        assert [(served.status, served.headers.get("range")) for served in proxy.served] == [
            (200, None),
            (206, "bytes=5000-"),
            (206, "bytes=7500-"),
        ]
        assert re.fullmatch(r'"\w+"', proxy.served[-1].headers["if-match"])

    def test_download_begins_anew_when_the_object_changes(self, url: str, s3: S3Server, proxy: FaultyProxy, tmp_path: Path) -> None:
        bucket = url.split("/")[2]
        proxy.inject(Fault.HALF_BODY)
        change = once(lambda: s3.client().put_object(Bucket=bucket, Key="model.ckpt", Body=OTHER))
        assert fetch_checkpoint(url, tmp_path / "got", change).read_bytes() == OTHER
        assert [served.status for served in proxy.served] == [200, 412, 200]

    def test_download_begins_anew_when_the_range_is_not_to_be_had(self, url: str, proxy: FaultyProxy, tmp_path: Path) -> None:
        proxy.inject(Fault.HALF_BODY)
        proxy.inject(Refusal(416, "InvalidRange"))
        assert fetch_checkpoint(url, tmp_path / "got").read_bytes() == BODY
        assert [served.headers.get("range") for served in proxy.served] == [None, "bytes=5000-", None]
