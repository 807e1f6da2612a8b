"""Checkpoints from wherever they are to this machine: a path, an http(s) URL, or an object in S3."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

import tenacity
import urllib3

from embedder.errors import ConfigurationError, TemporaryError, WeightsError
from embedder.storage import network
from embedder.storage.base import path_of

Progress = Callable[[int, int | None], None]
"""Called with the bytes so far and, where it is known, their total."""
ATTEMPTS = 5
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Most before another attempt, seconds: doubled each time, of which a random share is waited."""
TIMEOUT = urllib3.Timeout(connect=10, read=60)
"""Of one wait for the network, seconds."""
CHUNK = 1 << 20
"""Bytes written at a time."""
GIVE = "give a checkpoint's path, https:// or s3:// address, or random:SEED"


class Body(Protocol):
    """What a download is read from."""

    def read(self, amt: int, /) -> bytes:
        """The next bytes, none at the end."""


def fetch_checkpoint(location: str, into: Path, progress: Progress | None = None) -> Path:
    """The file at `location`: its own path where it is on this machine, else a copy written to `into`."""
    opener = _opener(location)
    if opener is None:
        path = path_of(location)
        check_is_file(path)
        return path

    def fetch() -> None:
        with opener(location) as (body, size), into.open("wb") as file:
            _copy(body, file, size, progress or (lambda _done, _total: None))

    _retrying()(fetch)
    return into


def check_readable(location: str) -> None:
    """Raise as `fetch_checkpoint` would where there is nothing to fetch; the file itself is not read."""
    opener = _opener(location)
    if opener is None:
        check_is_file(path_of(location))
        return

    def look() -> None:
        with opener(location):
            pass

    _retrying()(look)


def without_secrets(url: str) -> str:
    """A URL without password and query, fit for a message; anything else as it is."""
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition('://')[0]}://..."
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def check_is_file(path: Path) -> None:
    """WeightsError where there is no file that can be read."""
    if not path.exists():
        raise WeightsError(f"{path}: no such file; {GIVE}")
    if not path.is_file():
        raise WeightsError(f"{path} is a folder, not a checkpoint; give the file in it")
    if not os.access(path, os.R_OK):
        raise WeightsError(f"{path} may not be read; check its permissions")


Opener = Callable[[str], AbstractContextManager[tuple[Body, int | None]]]
"""Of an address: the body of the reply, and its size where that is known."""


def _opener(location: str) -> Opener | None:
    """How an address is opened; None for a path of this machine."""
    scheme = location.partition("://")[0].lower() if "://" in location else ""
    if not scheme:
        return None
    openers: dict[str, Opener] = {"http": _http_body, "https": _http_body, "s3": _s3_body}
    if scheme not in openers:
        raise WeightsError(f"{without_secrets(location)}: no such kind of address; {GIVE}")
    return openers[scheme]


def _retrying() -> tenacity.Retrying:
    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
        retry=tenacity.retry_if_exception_type(TemporaryError),
        reraise=True,
    )


@contextmanager
def _http_body(url: str) -> Iterator[tuple[Body, int | None]]:
    shown = without_secrets(url)
    try:
        # follows redirects, and repeats nothing
        retries = urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=5)
        with network.pool(url, timeout=TIMEOUT, retries=retries) as pool:
            reply = pool.request("GET", url, preload_content=False, headers={"Accept-Encoding": "identity"})
            try:
                _check_status(reply.status, shown)
                length = reply.headers.get("Content-Length")
                yield reply, int(length) if length else None
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
        raise TemporaryError(
            f"{shown} could not be downloaded ({type(reason).__name__}); check the address and the network, and try again"
        ) from error


def _check_status(status: int, shown: str) -> None:
    if status == HTTPStatus.OK:
        return
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        raise ConfigurationError(f"{shown}: {network.PROXY_LOGIN}")
    if status in {401, 403, 404, 410}:
        raise WeightsError(f"{shown} answers {status}: no such file, or it is not public; check the address")
    if status in {408, 425, 429} or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TemporaryError(f"{shown} answers {status}; try again later")
    raise WeightsError(f"{shown} answers {status}; check the address")


@contextmanager
def _s3_body(url: str) -> Iterator[tuple[Body, int | None]]:
    from embedder.storage.s3_client import s3_client  # noqa: PLC0415 - imports boto3
    from embedder.storage.s3_errors import s3_errors_at  # noqa: PLC0415

    parts = urlsplit(url)
    bucket, key = parts.netloc, parts.path.lstrip("/")
    if not bucket or not key:
        raise WeightsError(f"{url} names no object; write s3://bucket/key")
    try:
        with s3_errors_at(url):
            reply = s3_client(attempts=1, unsigned=None).get_object(Bucket=bucket, Key=key)
            with closing(reply["Body"]) as body:
                yield body, reply["ContentLength"]
    except ConfigurationError as error:
        raise WeightsError(f"weights {error}") from error
    except ValueError as error:
        raise WeightsError(f"{url}: {str(error).splitlines()[0]}; check bucket, key and the AWS settings") from error


def _copy(body: Body, file: BinaryIO, total: int | None, progress: Progress) -> None:
    done = 0
    while chunk := body.read(CHUNK):
        file.write(chunk)
        done += len(chunk)
        progress(done, total)
    if total is not None and done != total:
        raise TemporaryError(f"the download broke off after {done} of {total} bytes; check the network and try again")
