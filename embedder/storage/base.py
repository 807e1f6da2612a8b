"""What a folder and S3 have in common."""

import errno
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from pathlib import Path

from embedder.errors import ConfigurationError, NotFoundError, TemporaryError

ANY = "*"
"""As `replaces`: put whatever is there."""
PASSING_ERRNOS = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY}
"""What a network's or a failing disk's file system may answer once, and not again."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An object as it was read."""

    data: bytes = field(repr=False)
    version: str
    """Changes with each write; for S3 the ETag without its quotes."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An object as a listing names it."""

    key: str
    """Relative to the storage's root."""
    size: int
    """Bytes."""
    version: str
    """As `Stored.version`."""


class Storage(ABC):
    """Objects under one root. Safe to use from several threads. Errors are those of `embedder.errors`."""

    url: str
    """The root: s3://bucket/prefix, an absolute path, or an https address."""
    remark: str | None = None
    """What a person should know of how it is read."""

    @abstractmethod
    def get(self, key: str) -> Stored:
        """The whole object; NotFoundError where there is none."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[Listed]:
        """The objects whose key starts with `prefix` (end it with / to mean a folder), in the order of their keys.

        NoListingError where public data can be read without being listed.
        """

    @abstractmethod
    def put(self, key: str, data: bytes | Path, *, replaces: str | None = None) -> str:
        """Write the object, all of it or nothing, and return its version.

        By default only where nothing is there; with a version only where that one still is; with `ANY` in any case.
        ConflictError otherwise.
        """

    @abstractmethod
    def local_path(self, key: str, scratch: Path) -> Path:
        """A file with the object's bytes: the object itself in a folder, otherwise a download into the folder `scratch`.

        Only its size is verified: compare a SHA-256 where the bytes matter.
        """

    @abstractmethod
    def check_writable(self) -> None:
        """Raise ConfigurationError where a put could not succeed, or not exclude others. Leaves nothing behind."""

    def tidy(self, prefix: str) -> None:  # noqa: B027 - most storages leave nothing
        """Remove what killed processes have left in the folder `prefix`, where this kind of storage leaves any."""

    def where(self, key: str) -> str:
        """The object's full address, for messages."""
        return f"{self.url.rstrip('/')}/{key}"


def check_key(key: str) -> str:
    """The key itself; ValueError where it could lead out of the root, or be two spellings of one object."""
    if not all(part not in {"", ".", ".."} for part in key.split("/")) or "\0" in key:
        raise ValueError(f"{key!r} is not a key: write folder/name, without . or .. or empty parts")
    return key


def split_s3(url: str) -> tuple[str, str]:
    """Bucket and prefix or key of an s3:// address. The latter is taken as it is, as AWS's own tools do: ?, # and % are characters of it.

    ValueError where no bucket is named.
    """
    match = re.fullmatch(r"s3://([^/@?#]+)(?:/+(.*?))?/*", url, re.IGNORECASE | re.DOTALL)
    if not match:
        raise ValueError("an s3:// address without a bucket, or with more than a bucket and a prefix")
    return match[1], match[2] or ""


def path_of(text: str) -> Path:
    """A path as a person writes it: ~ is their home folder. ConfigurationError for a user, or the name of one, without."""
    try:
        return check_utf8(Path(text).expanduser())
    except RuntimeError as error:
        raise ConfigurationError(f"{text}: there is no home folder that ~ could stand for: write the path in full") from error


def check_utf8(path: Path) -> Path:
    """The path itself; ConfigurationError where its name, or that of a folder above, can't be given to libraries or written to a record."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8, or lies in a folder that is not: rename it, or use another") from error
    return path


def open_stream(data: bytes | Path) -> BytesIO | BufferedReader:
    """What `put` is given, as a stream from its beginning."""
    return data.open("rb") if isinstance(data, Path) else BytesIO(data)


@contextmanager
def os_errors_at(place: str) -> Iterator[None]:
    """Raise the project's errors in place of the operating system's."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(f"{place} does not exist: check the path") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise ConfigurationError(f"no space left for {place}: free some, and run again; finished columns are kept") from error
        if error.errno in PASSING_ERRNOS:
            raise TemporaryError(f"{place}: {error.strerror}: try again") from error
        advice = "check the path, and who may read and write there"
        raise ConfigurationError(f"{place}: {error.strerror or error}: {advice}") from error
