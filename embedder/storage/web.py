"""Storage at an http(s) address, to read from alone: whole objects by plain GETs, unsigned. Nothing lists there."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import quote, urlsplit

import urllib3

from embedder.errors import ConfigurationError, NoListingError, NotFoundError, TemporaryError, UsageError
from embedder.storage import network, retries
from embedder.storage.base import Listed, Storage, Stored, check_key, os_errors_at

T = TypeVar("T")

CONNECTIONS = 32
"""Kept open, for as many threads."""
TIMEOUT = urllib3.Timeout(connect=10, read=60)
"""Of one wait for the network, seconds."""
CHUNK = 1 << 20
"""Bytes written at a time."""
ABSENT = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
"""Answers where nothing is: a bucket that may not be listed says 403 of a key that does not exist."""
READ_ONLY = "is read by https alone: write to s3://bucket/prefix or a folder"


class WebStorage(Storage):
    """What lies below an address."""

    def __init__(self, url: str) -> None:
        try:
            address = urlsplit(url)
            is_address = address.scheme.lower() in network.PORTS and bool(address.hostname) and address.port != 0
        except ValueError:
            is_address = False
        if not is_address or re.search(r"[\s?#]", url) or "@" in address.netloc:
            raise UsageError("what is to be read is no address: write https://host/path, without user, password, ? and #")
        self.url = url.rstrip("/")
        # Follows redirects, and repeats nothing.
        once = urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=5)
        self._pool = network.pool(self.url, timeout=TIMEOUT, retries=once, maxsize=CONNECTIONS, block=False)

    def get(self, key: str) -> Stored:
        """The whole object; NotFoundError also where it is refused."""

        def get_once() -> Stored:
            with self._reply(key) as reply:
                return Stored(data=reply.read(), version=reply.headers.get("ETag", "").strip('"'))

        return self._patiently(get_once)

    def local_path(self, key: str, scratch: Path) -> Path:
        """A download to a file named like the key's last part."""
        path = scratch / Path(key).name

        def fetch() -> None:
            with self._reply(key) as reply, os_errors_at(str(path)), path.open("wb") as file:
                for chunk in reply.stream(CHUNK):
                    file.write(chunk)

        with os_errors_at(str(path)):
            scratch.mkdir(parents=True, exist_ok=True)
        self._patiently(fetch)
        return path

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """NoListingError."""
        raise NoListingError(f"{self.where(prefix)} can't be listed: give the s3:// address, or what names its files")

    def put(self, key: str, data: bytes | Path, *, replaces: str | None = None) -> NoReturn:  # noqa: ARG002 - what others need
        """ConfigurationError."""
        raise ConfigurationError(f"{self.where(key)} {READ_ONLY}")

    def check_writable(self) -> None:
        """ConfigurationError."""
        raise ConfigurationError(f"{self.url} {READ_ONLY}")

    def _patiently(self, attempt: Callable[[], T]) -> T:
        return retries.Patience(self.url)(attempt)

    @contextmanager
    def _reply(self, key: str) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a GET, if it is the object. One attempt."""
        where = self.where(check_key(key))
        try:
            reply = self._pool.request("GET", f"{self.url}/{quote(key)}", preload_content=False, headers={"Accept-Encoding": "identity"})
            try:
                _check_status(reply.status, where)
                yield reply
            finally:
                reply.close() if reply.length_remaining else reply.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise _error(error, where) from error


def _check_status(status: int, where: str) -> None:
    if status == HTTPStatus.OK:
        return
    if status in ABSENT:
        raise NotFoundError(f"{where} answers {status}: it does not exist, or is not public: check the address")
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        raise ConfigurationError(f"{where}: {network.PROXY_LOGIN}")
    if status in retries.PASSING_STATUSES:
        raise TemporaryError(f"{where} answers {status}: try again later")
    raise ConfigurationError(f"{where} answers {status}: check the address")


def _error(error: urllib3.exceptions.HTTPError, where: str) -> Exception:
    """In place of a connection's."""
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, urllib3.exceptions.ResponseError):
        return ConfigurationError(f"{where} is redirected without end: check the address")
    if refusal := network.refusal(error, where):
        return refusal
    if isinstance(reason, urllib3.exceptions.SSLError):
        return ConfigurationError(f"{where} does not speak https as it should: check the address")
    why = network.TrickleError() if network.is_trickle(error) else type(reason).__name__
    return TemporaryError(f"{where} could not be read ({why}): check the address and the network, or try again later")
