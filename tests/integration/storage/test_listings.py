"""Answers that are nearly S3's: a listing that lacks what it must have would seem to name fewer objects than there are."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embedder.errors import EmbedderError, NoS3Error
from embedder.source.inventory import list_tiles, open_source
from embedder.storage import open_storage
from tests.patience import skip_waits
from tests.s3_server import aws_environment

ENTRY = "<Contents><Key>p/a</Key><Size>5</Size><ETag>&quot;x&quot;</ETag></Contents>"


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the S3 endpoint says to any request: a body, and lines of a header."""
    answer = [""]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for line in answer[1:]:
                self.send_header(*line.split(": ", 1))
            self.end_headers()
            self.wfile.write(answer[0].encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    for name, value in aws_environment(f"http://127.0.0.1:{server.server_port}").items():
        monkeypatch.setenv(name, value)
    skip_waits(monkeypatch)
    yield answer
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "inside",
    [
        "",
        ENTRY,
        "<IsTruncated>true</IsTruncated>",
        f"<IsTruncated>true</IsTruncated>{ENTRY}",
        "<IsTruncated>false</IsTruncated><Contents/>",
        *(f"<IsTruncated>false</IsTruncated>{ENTRY.replace(part, '')}" for part in ("<Key>p/a</Key>", "<Size>5</Size>")),
        f"<IsTruncated>false</IsTruncated>{ENTRY}{ENTRY.replace('ETag', 'Tag')}",
    ],
)
def test_an_endpoint_is_no_s3_when_its_listing_is_incomplete(answer: list[str], inside: str) -> None:
    answer[0] = f"<ListBucketResult>{inside}</ListBucketResult>"
    with pytest.raises(NoS3Error, match="AWS_ENDPOINT_URL_S3"):
        list(open_storage("s3://bucket/p").list())
    with pytest.raises(NoS3Error, match=r"^source .*AWS_ENDPOINT_URL_S3"):
        list_tiles(open_source("s3://bucket/p"), 2020)


@pytest.mark.parametrize(
    "body", ["", " ", "{}", "<html/>", "<ListBucketResult>", "<ListBucketResult><IsTruncated>fal", "\0", "<a>" * 20_000]
)
def test_a_listing_is_refused_in_one_line_when_it_is_none(answer: list[str], body: str) -> None:
    answer[0] = body
    with pytest.raises(EmbedderError, match=r"no S3|damaged|answers 500"):
        list(open_storage("s3://bucket/p").list())


def test_a_listing_is_taken_when_it_is_whole(answer: list[str]) -> None:
    answer[0] = f"<ListBucketResult><IsTruncated>false</IsTruncated>{ENTRY}</ListBucketResult>"
    assert [(listed.key, listed.size, listed.version) for listed in open_storage("s3://bucket/p").list()] == [("a", 5, "x")]


@pytest.mark.parametrize(("part", "other"), [("<Size>5", "<Size>many"), ("<Size>", "<LastModified>yesterday</LastModified><Size>")])
def test_a_listing_is_refused_in_one_line_when_a_value_can_not_be(answer: list[str], part: str, other: str) -> None:
    answer[0] = f"<ListBucketResult><IsTruncated>false</IsTruncated>{ENTRY.replace(part, other)}</ListBucketResult>"
    with pytest.raises(EmbedderError, match="AWS_ENDPOINT_URL_S3"):
        list(open_storage("s3://bucket/p").list())


@pytest.mark.parametrize("line", ["Content-Range: bytes 0-0/*", "Content-Range: all", "Last-Modified: yesterday", "Content-Length: "])
def test_an_object_is_refused_in_one_line_when_its_header_can_not_be(answer: list[str], line: str, tmp_path: Path) -> None:
    answer[:] = ["bytes", 'ETag: "x"', line]
    with pytest.raises(EmbedderError, match="AWS_ENDPOINT_URL_S3"):
        open_storage("s3://bucket/p").local_path("object", tmp_path)
    with pytest.raises(EmbedderError, match=r"^source .*AWS_ENDPOINT_URL_S3"):
        open_source("s3://bucket/p").stat("object")
