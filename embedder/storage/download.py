"""Checkpoints from wherever they are to this machine: a path, an http(s) URL, or an object in S3.

A download that breaks off goes on where it did, if the server still has the same file by its ETag: for http with Range and If-Range,
for S3 with Range and If-Match. RFC 9110, 13.1.5 and 14: a weak ETag doesn't tell bytes apart, and a server may ignore Range.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import urlsplit

import urllib3

from embedder.errors import ConfigurationError, NoCheckpointError, TemporaryError, WeightsError
from embedder.storage import network, retries
from embedder.storage.base import path_of, split_s3

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

Progress = Callable[[int, int | None], None]
"""Called with the bytes so far and, where it is known, their total."""
TIMEOUT = urllib3.Timeout(connect=10, read=60)
"""Of one wait for the network, seconds."""
CHUNK = 1 << 20
"""Bytes written at a time."""
CHANGED = "has changed while it was downloaded; try again"
GIVE = "give a checkpoint's path, https:// or s3:// address, or random:SEED"


class Body(Protocol):
    """What a download is read from."""

    def read(self, amt: int, /) -> bytes:
        """The next bytes, none at the end."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is kept of a download that broke off."""

    size: int = 0
    """Bytes."""
    etag: str | None = None
    """The file's, as the server wrote it; None where nothing is worth keeping."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The file, or what was lacking."""

    body: Body
    start: int = 0
    """The body's first byte, in the file."""
    total: int | None
    """The file's size, bytes, where the server says it."""
    etag: str | None
    """None where it doesn't tell bytes apart."""


class _ChangedError(TemporaryError):
    """What is kept is of no use: begin anew."""


def fetch_checkpoint(location: str, into: Path, progress: Progress | None = None) -> Path:
    """The file at `location`: its own path where it is on this machine, else a copy written to `into`."""
    opener = _opener(location)
    if opener is None:
        path = path_of(location)
        check_is_file(path)
        return path
    kept, reached = Part(), 0

    def fetch() -> None:
        nonlocal kept, reached
        try:
            with opener(location, kept) as reply, into.open("r+b" if reply.start else "wb") as file:
                file.seek(reply.start)
                try:
                    _copy(reply, file, progress or (lambda _done, _total: None))
                finally:
                    kept = Part(size=file.tell(), etag=reply.etag) if reply.etag else Part()
                    if kept.size > reply.start > 0:
                        reached = max(reached, kept.size)
        except _ChangedError:
            kept = Part()
            raise

    while True:
        before = reached
        try:
            retries.Patience(without_secrets(location))(fetch)
        except TemporaryError:
            if reached <= before:  # no attempt went on where another had ended
                raise
        else:
            return into


def check_readable(location: str) -> None:
    """Raise as `fetch_checkpoint` would where there is nothing to fetch; the file itself is not read."""
    opener = _opener(location)
    if opener is None:
        check_is_file(path_of(location))
        return

    def probe() -> None:
        with opener(location, Part()):
            pass

    retries.Patience(without_secrets(location))(probe)


def without_secrets(url: str) -> str:
    """A URL without password and query, fit for a message; anything else as it is."""
    if "://" not in url:
        return url
    if url.lower().startswith("s3://"):  # ? and # are characters of a key
        return re.sub(r"//[^/]*@", "//", url, count=1)
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition('://')[0]}://..."
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def check_is_file(path: Path) -> None:
    """WeightsError where there is no file that can be read."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such file; {GIVE}") from error
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} can't be looked at ({getattr(error, 'strerror', error)}); {GIVE}") from error
    if stat.S_ISDIR(mode):
        raise WeightsError(f"{path} is a folder, not a checkpoint; give the file in it")
    if not stat.S_ISREG(mode):
        raise WeightsError(f"{path} is no ordinary file; {GIVE}")
    if not os.access(path, os.R_OK):
        raise WeightsError(f"{path} may not be read; check its permissions")


Opener = Callable[[str, Part], AbstractContextManager[Reply]]
"""Of an address and what is kept of its file: the reply. _ChangedError where another file is there now."""


def _opener(location: str) -> Opener | None:
    """How an address is opened; None for a path of this machine."""
    scheme = location.partition("://")[0].lower() if "://" in location else ""
    if not scheme:
        return None
    openers: dict[str, Opener] = {"http": _http_body, "https": _http_body, "s3": _s3_body}
    if scheme not in openers:
        raise WeightsError(f"{without_secrets(location)}: no such kind of address; {GIVE}")
    return openers[scheme]


@contextmanager
def _http_body(url: str, kept: Part) -> Iterator[Reply]:
    shown = without_secrets(url)
    headers = {"Accept-Encoding": "identity"}
    if kept.etag:
        headers |= {"Range": f"bytes={kept.size}-", "If-Range": kept.etag}
    try:
        # follows redirects, and repeats nothing
        once = urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=5)
        with network.pool(url, timeout=TIMEOUT, retries=once) as pool:
            reply = pool.request("GET", url, preload_content=False, headers=headers)
            try:
                etag = reply.headers.get("ETag")
                if kept.etag and reply.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    raise _ChangedError(f"{shown} {CHANGED}")
                if kept.etag and reply.status == HTTPStatus.PARTIAL_CONTENT:
                    yield _rest(reply, kept, reply.headers.get("Content-Range"), etag or kept.etag, shown)
                else:
                    _check_status(reply.status, shown)
                    length = reply.headers.get("Content-Length")
                    tells_bytes = etag is not None and etag.startswith('"') and "Content-Encoding" not in reply.headers
                    yield Reply(body=reply, total=int(length) if length else None, etag=etag if tells_bytes else None)
            finally:
                reply.close()
    except (ValueError, urllib3.exceptions.URLSchemeUnknown) as error:
        raise WeightsError(f"{shown} is no address; {GIVE}") from error
    except urllib3.exceptions.HTTPError as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, urllib3.exceptions.ResponseError):
            raise WeightsError(f"{shown} is redirected without end; check the address") from error
        if refusal := network.refusal(error, shown):
            raise refusal from error
        if isinstance(reason, urllib3.exceptions.SSLError):
            raise WeightsError(f"{shown} does not speak https as it should; check the address") from error
        why = network.TrickleError() if network.is_trickle(error) else type(reason).__name__
        raise TemporaryError(f"{shown} could not be downloaded ({why}); check the address and the network, and try again") from error


def _check_status(status: int, shown: str) -> None:
    if status == HTTPStatus.OK:
        return
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        raise ConfigurationError(f"{shown}: {network.PROXY_LOGIN}")
    if status in {401, 403, 404, 410}:
        raise NoCheckpointError(f"{shown} answers {status}: no such file, or it is not public; check the address")
    if status in retries.PASSING_STATUSES:
        raise TemporaryError(f"{shown} answers {status}; try again later")
    raise WeightsError(f"{shown} answers {status}; check the address")


def _rest(body: Body, kept: Part, content_range: str | None, etag: str, shown: str) -> Reply:
    """The reply whose Content-Range this is, if it goes on where `kept` ends."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range or "")
    if not match or int(match[1]) != kept.size or etag != kept.etag:
        raise _ChangedError(f"{shown} {CHANGED}")
    return Reply(body=body, start=kept.size, total=None if match[2] == "*" else int(match[2]), etag=etag)


@contextmanager
def _s3_body(url: str, kept: Part) -> Iterator[Reply]:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - boto3 takes a while to import

    from embedder.storage.s3_client import s3_client  # noqa: PLC0415
    from embedder.storage.s3_errors import s3_errors_at  # noqa: PLC0415

    try:
        bucket, key = split_s3(url)
    except ValueError as error:
        raise WeightsError(f"the weights' address is {error}: write s3://bucket/key") from None
    if not key:
        raise WeightsError(f"{url} names no object; write s3://bucket/key")
    request: GetObjectRequestTypeDef = {"Bucket": bucket, "Key": key}
    if kept.etag:
        request |= {"Range": f"bytes={kept.size}-", "IfMatch": kept.etag}
    try:
        with s3_errors_at(url):
            try:
                reply = s3_client(unsigned=None).get_object(**request)
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
                if kept.etag and status in {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
                    raise _ChangedError(f"{url} {CHANGED}") from error
                raise
            with closing(reply["Body"]) as body:
                if "ContentRange" in reply and kept.etag:
                    yield _rest(body, kept, reply["ContentRange"], reply.get("ETag", kept.etag), url)
                else:
                    yield Reply(body=body, total=reply.get("ContentLength"), etag=reply.get("ETag"))
    except ConfigurationError as error:
        raise WeightsError(f"weights {error}") from error
    except ValueError as error:
        raise WeightsError(f"{url}: {str(error).splitlines()[0]}; check bucket, key and the AWS settings") from error


def _copy(reply: Reply, file: BinaryIO, progress: Progress) -> None:
    done, total = reply.start, reply.total
    while chunk := reply.body.read(CHUNK):
        file.write(chunk)
        done += len(chunk)
        progress(done, total)
    if total is not None and done > total:
        raise _ChangedError(f"the download has {done} bytes, of {total} that were announced; try again")
    if total is not None and done != total:
        raise TemporaryError(f"the download broke off after {done} of {total} bytes; check the network and try again")
