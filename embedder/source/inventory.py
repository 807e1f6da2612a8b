"""Which tiles exist, from a listing of the source: an S3 bucket by https or s3 address, or a folder with the same tree."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit

from embedder.errors import (
    ConfigurationError,
    ConnectionSettingsError,
    NoS3Error,
    NotFoundError,
    SourceError,
    TemporaryError,
    UsageError,
)
from embedder.grid import Tile
from embedder.storage import retries
from embedder.storage.base import os_errors_at, path_of
from embedder.storage.folder import files_below

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

AMAZON = "https://s3.amazonaws.com"
"""Amazon's own S3: below it each bucket's host name leads to the bucket's region."""
CHANGED = {404, 412}
"""What a conditional GET answers where the tile is gone, or another one."""
PUBLIC_SOURCE = "https://esa-worldcover-s2.s3.amazonaws.com"
"""The public bucket of the composites."""


@dataclass(frozen=True, kw_only=True)
class TileFile:
    """A tile as the listing shows it."""

    etag: str
    """The server's ETag with its quotes; in a folder, size and time of the last change."""
    size: int
    """Bytes."""


Inventory = dict[Tile, TileFile]
"""The tiles that exist. A tile that is not in it does not exist, whatever a request for it would answer."""


class Source(Protocol):
    """Where tiles are listed and read."""

    location: str
    """As the user gave it, without a slash at the end; of a folder, its absolute path."""
    is_folder: bool

    def gdal_path(self, key: str) -> str:
        """What GDAL opens."""

    def list_files(self, prefix: str) -> Iterator[tuple[str, TileFile]]:
        """Keys below a prefix, with what the listing says of each."""

    def stat(self, key: str) -> TileFile:
        """What is there now; NotFoundError where nothing is. One attempt."""

    def read_range(self, key: str, file: TileFile, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a tile; SourceError where it is no longer the one in the inventory. One attempt."""


def list_tiles(source: Source, year: int) -> Inventory:
    """The tiles of a year that lie in the grid. Raises ConfigurationError where there is none, or no listing."""
    inventory = {}
    for key, file in source.list_files(f"rgbnir/{year}/"):
        match = re.search(r"_(N\d{2}W\d{3})_S2RGBNIR\.tif$", key)
        try:
            tile = match and Tile.from_name(match[1])
        except ValueError:
            continue
        if tile and key == tile.key(year):
            inventory[tile] = file
    if not inventory:
        example = Tile(row=0, column=0).key(year)
        raise ConfigurationError(
            f"source {source.location} holds no tile of {year} in the grid: check --source; tiles are named like {example} below it"
        )
    return dict(sorted(inventory.items()))


def check_unchanged(source: Source, key: str, file: TileFile) -> None:
    """Raise SourceError where a tile is no longer the one in the inventory."""
    try:
        found = source.stat(key)
    except NotFoundError as error:
        raise SourceError(
            f"{source.location}/{key} is gone: the source changed during the run: plan it again under another output"
        ) from error
    if found.etag != file.etag:
        raise SourceError(
            f"{source.location}/{key} has ETag {found.etag}, the inventory has {file.etag}: "
            "the source changed during the run: plan it again under another output"
        )


def open_source(location: str, *, silence_s: int | None = None) -> Source:
    """The source at an https or s3 address, or in a folder. Requests are never signed.

    `silence_s` is for how long a server may say nothing, where that is to be less than a run allows.
    """
    if not location:
        raise UsageError("the source is empty: write s3://bucket, https://host/bucket or a path")
    if "://" not in location:
        return FolderSource(location)
    location = location.rstrip("/")
    try:
        address = urlsplit(location)
    except ValueError as error:
        raise UsageError(f"source {location!r} is no address ({error}): write s3://bucket, https://host/bucket or a path") from error
    if "@" in address.netloc:
        raise UsageError("the source's address holds a user or a password: leave them out; the source is read without")
    if address.scheme == "s3" and address.netloc:
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        return BucketSource(location, bucket=address.netloc, prefix=address.path, endpoint=endpoint, silence_s=silence_s)
    if address.scheme in ("http", "https") and address.netloc:
        amazon = re.fullmatch(r"(?P<bucket>.+)\.(?P<host>s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?)", address.netloc)
        if amazon:
            endpoint = f"{address.scheme}://{amazon['host']}"
            return BucketSource(location, bucket=amazon["bucket"], prefix=address.path, endpoint=endpoint, silence_s=silence_s)
        bucket, _, prefix = address.path.strip("/").partition("/")
        if bucket:
            endpoint = f"{address.scheme}://{address.netloc}"
            return BucketSource(location, bucket=bucket, prefix=prefix, endpoint=endpoint, silence_s=silence_s)
    raise UsageError(f"source {location!r} is no bucket and no folder: write s3://bucket, https://host/bucket or a path")


class FolderSource:
    """A folder with the bucket's tree."""

    is_folder = True

    def __init__(self, location: str) -> None:
        try:
            self._root = path_of(location).resolve()
            is_there = self._root.is_dir()
        except (OSError, ValueError):  # too long for a path, or none at all
            is_there = False
        if not is_there:
            raise ConfigurationError(f"source {' '.join(location[:200].split())} is not a folder: check --source")
        self.location = str(self._root)

    def gdal_path(self, key: str) -> str:
        """The file's path."""
        return str(self._root / key)

    def list_files(self, prefix: str) -> Iterator[tuple[str, TileFile]]:
        """Files below a prefix."""
        with os_errors_at(self.location):
            paths = sorted(path for path in files_below(self._root / prefix) if path.suffix == ".tif")
        for path in paths:
            key = path.relative_to(self._root).as_posix()
            yield key, self.stat(key)

    def stat(self, key: str) -> TileFile:
        """Size and time of the last change."""
        with os_errors_at(str(self._root / key)):
            found = (self._root / key).stat()
        return TileFile(etag=f"{found.st_mtime_ns:x}-{found.st_size:x}", size=found.st_size)

    def read_range(self, key: str, file: TileFile, start: int, stop: int) -> bytes:
        """Fewer bytes where the file ends before."""
        check_unchanged(self, key, file)
        with os_errors_at(str(self._root / key)), (self._root / key).open("rb") as opened:
            opened.seek(start)
            return opened.read(stop - start)


class BucketSource:
    """An S3 bucket, read without a signature."""

    is_folder = False

    def __init__(self, location: str, *, bucket: str, prefix: str, endpoint: str | None, silence_s: int | None) -> None:
        from embedder.storage.s3_client import s3_client  # noqa: PLC0415 - a folder needs no boto3

        self.location = location
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        is_amazon = endpoint is None or "amazonaws.com" in endpoint
        scheme, _, host = (endpoint or AMAZON).partition("://")
        self._base = f"{scheme}://{bucket}.{host}" if is_amazon else f"{scheme}://{host}/{bucket}"
        self.client: S3Client = s3_client(
            attempts=1,  # `retries.SOURCE` covers what boto3 does, and broken bodies too
            unsigned=True,
            endpoint=endpoint or AMAZON,
            address=self._base,
            region=_region(host),
            silence_s=silence_s,
            max_pool_connections=32,
            s3={"addressing_style": "virtual" if is_amazon else "path"},
        )

    def gdal_path(self, key: str) -> str:
        """GDAL's address of a plain, unsigned request."""
        return f"/vsicurl/{self._base}/{quote(self._prefix + key)}"

    def list_files(self, prefix: str) -> Iterator[tuple[str, TileFile]]:
        """Keys below a prefix."""
        token = None
        retrying = retries.SOURCE.retrying(lambda error: isinstance(error, TemporaryError))
        while True:
            page = retrying(self._list_page, self._prefix + prefix, token)
            for listed in page.get("Contents", []):
                yield listed["Key"].removeprefix(self._prefix), TileFile(etag=listed["ETag"], size=listed["Size"])
            if not page["IsTruncated"]:
                return
            token = page["NextContinuationToken"]

    def stat(self, key: str) -> TileFile:
        """The object's ETag and size."""
        from embedder.storage.s3_client import stat_object  # noqa: PLC0415 - a folder needs no boto3

        with self._errors(f"{self.location}/{key}"):
            found = stat_object(self.client, self._bucket, self._prefix + key)
        return TileFile(etag=found.etag, size=found.size)

    def read_range(self, key: str, file: TileFile, start: int, stop: int) -> bytes:
        """One conditional GET."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - a folder needs no boto3

        bounds = f"bytes={start}-{min(stop, file.size) - 1}"
        with self._errors(f"{self.location}/{key}"):
            try:
                reply = self.client.get_object(Bucket=self._bucket, Key=self._prefix + key, Range=bounds, IfMatch=file.etag)
                return reply["Body"].read()
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] in CHANGED:
                    check_unchanged(self, key, file)
                raise

    def _list_page(self, prefix: str, token: str | None) -> "ListObjectsV2OutputTypeDef":
        with self._errors(self.location):
            if token is None:
                return self.client.list_objects_v2(Bucket=self._bucket, Prefix=prefix)
            return self.client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, ContinuationToken=token)

    @contextmanager
    def _errors(self, where: str) -> Iterator[None]:
        from embedder.storage.s3_errors import s3_errors_at  # noqa: PLC0415 - imports boto3

        try:
            with s3_errors_at(where):
                yield
        except (NotFoundError, SourceError, ConnectionSettingsError):
            raise
        except NoS3Error as error:
            raise NoS3Error(f"source {error}") from error
        except ConfigurationError as error:
            raise ConfigurationError(
                f"source {error}: it is read without a signature: check --source, and that anyone may list it"
            ) from error


def _region(host: str) -> str:
    """The region in a host's name, if any; unsigned requests to any other host name none."""
    match = re.match(r"s3[.-]([a-z]{2}-[a-z]+-\d)\.amazonaws", host)
    return match[1] if match else "us-east-1"
