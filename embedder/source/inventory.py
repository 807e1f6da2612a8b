"""Which tiles exist, from a listing of the source: an S3 bucket by https or s3 address, or a folder with the same tree."""

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote, urlsplit

from embedder.errors import (
    ConfigurationError,
    ConnectionSettingsError,
    NoS3Error,
    NotFoundError,
    RefusedTileError,
    SourceError,
    UsageError,
)
from embedder.grid import Tile
from embedder.source.meter import Meter
from embedder.storage import network, retries
from embedder.storage.base import os_errors_at, path_of, split_s3
from embedder.storage.folder import files_below

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

AMAZON = "https://s3.amazonaws.com"
"""Amazon's own S3: below it each bucket's host name leads to the bucket's region."""
CHANGED = {404, 412}
"""What a conditional GET answers where the tile is gone, or another one."""
OF_A_WRITE = {409, 412}
"""May pass for who writes; of a tile that nobody writes they are a refusal."""
PUBLIC_SOURCE = "https://esa-worldcover-s2.s3.amazonaws.com"
"""The public bucket of the composites."""
WRONG_ADDRESS = "the source's address names no bucket and no folder: write s3://bucket, https://host/bucket or a path"


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
    meter: Meter
    """Counts what is read of tiles."""

    def gdal_path(self, key: str) -> str:
        """What GDAL opens."""

    def list_files(self, prefix: str) -> Iterator[tuple[str, TileFile]]:
        """Keys below a prefix, with what the listing says of each."""

    def stat(self, key: str) -> TileFile:
        """What is there now; NotFoundError where nothing is, RefusedTileError where it isn't said. One attempt."""

    def read_range(self, key: str, file: TileFile, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a tile. One attempt.

        SourceError where it is no longer the one in the inventory, RefusedTileError where it isn't given out.
        """


def metered(source: Source) -> Source:
    """The same source with a meter of its own."""
    other = copy.copy(source)
    other.meter = Meter()
    return other


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
    if location.lower().startswith("s3://"):
        try:
            bucket, prefix = split_s3(location)
        except ValueError:
            raise UsageError(WRONG_ADDRESS) from None
        return BucketSource(location, bucket=bucket, prefix=prefix, endpoint=network.s3_endpoint(), silence_s=silence_s)
    try:
        address = urlsplit(location)
        has_port = address.port is None or address.port
    except ValueError:
        has_port = False
    if not has_port or address.scheme not in ("http", "https") or not address.hostname:
        raise UsageError(WRONG_ADDRESS)
    if "@" in address.netloc:
        raise UsageError("the source's address holds a user or a password: leave them out; the source is read without")
    if "?" in location or "#" in location:
        raise UsageError("the source's address holds a ? or a #: leave it out; where it is a key's character, write %3F or %23")
    amazon = re.fullmatch(r"(?P<bucket>.+)\.(?P<host>s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?)", address.netloc)
    path = unquote(address.path).strip("/")
    bucket, _, prefix = (amazon["bucket"], "", path) if amazon else path.partition("/")
    if not bucket:
        raise UsageError(WRONG_ADDRESS)
    endpoint = network.endpoint_of(f"{address.scheme}://{amazon['host'] if amazon else address.netloc}", "the source's address")
    return BucketSource(location, bucket=bucket, prefix=prefix, endpoint=endpoint, silence_s=silence_s)


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
        self.meter = Meter()

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
        self.meter.requested()
        check_unchanged(self, key, file)
        with os_errors_at(str(self._root / key)), (self._root / key).open("rb") as opened:
            opened.seek(start)
            data = opened.read(stop - start)
        self.meter.fetched(len(data))
        return data


class BucketSource:
    """An S3 bucket, read without a signature."""

    is_folder = False

    def __init__(self, location: str, *, bucket: str, prefix: str, endpoint: str | None, silence_s: int | None) -> None:
        from embedder.storage.s3_client import s3_client  # noqa: PLC0415 - a folder needs no boto3

        self.location = location
        self.meter = Meter()
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        is_amazon = endpoint is None or "amazonaws.com" in endpoint
        scheme, _, host = (endpoint or AMAZON).partition("://")
        self._base = f"{scheme}://{bucket}.{host}" if is_amazon else f"{scheme}://{host}/{bucket}"
        self.client: S3Client = s3_client(
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
        from embedder.storage.s3_client import list_objects  # noqa: PLC0415 - a folder needs no boto3

        def ask(request: Callable[[], "ListObjectsV2OutputTypeDef"]) -> "ListObjectsV2OutputTypeDef":
            def named() -> "ListObjectsV2OutputTypeDef":
                with self._errors(self.location):
                    return request()

            return retries.Patience(self.location)(named)

        for page in list_objects(self.client, self._bucket, self._prefix + prefix, ask):
            for listed in page.get("Contents", []):
                yield listed["Key"].removeprefix(self._prefix), TileFile(etag=listed["ETag"], size=listed["Size"])

    def stat(self, key: str) -> TileFile:
        """The object's ETag and size."""
        from embedder.storage.s3_client import stat_object  # noqa: PLC0415 - a folder needs no boto3

        self.meter.requested()
        with self._errors_of_tile(key):
            found = stat_object(self.client, self._bucket, self._prefix + key)
        return TileFile(etag=found.etag, size=found.size)

    def read_range(self, key: str, file: TileFile, start: int, stop: int) -> bytes:
        """One conditional GET."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - a folder needs no boto3

        bounds = f"bytes={start}-{min(stop, file.size) - 1}"
        self.meter.requested()
        with self._errors_of_tile(key):
            try:
                reply = self.client.get_object(Bucket=self._bucket, Key=self._prefix + key, Range=bounds, IfMatch=file.etag)
                data = reply["Body"].read()
            except ClientError as error:
                if _status_of(error) in CHANGED:
                    check_unchanged(self, key, file)
                    raise self._refusal(key, error) from error
                raise
        self.meter.fetched(len(data))
        return data

    @contextmanager
    def _errors_of_tile(self, key: str) -> Iterator[None]:
        """Whatever is wrong with one tile is its own fault, not the run's; not so what keeps this machine from all of them."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - a folder needs no boto3

        try:
            with self._errors(f"{self.location}/{key}"):
                try:
                    yield
                except ClientError as error:
                    if _status_of(error) in OF_A_WRITE:
                        raise self._refusal(key, error) from error
                    raise
        except (NotFoundError, SourceError, ConnectionSettingsError):
            raise
        except ConfigurationError as error:
            raise RefusedTileError(str(error)) from error

    def _refusal(self, key: str, error: "ClientError") -> RefusedTileError:
        return RefusedTileError(f"source {self.location}/{key} is not given out, the answer is {_status_of(error)}: check --source")

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
                f"source {error}: it is read without a signature: check --source, and that anyone may list it and read it"
            ) from error


def _status_of(error: "ClientError") -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def _region(host: str) -> str:
    """The region in a host's name, if any; unsigned requests to any other host name none."""
    match = re.match(r"s3[.-]([a-z]{2}-[a-z]+-\d)\.amazonaws", host)
    return match[1] if match else "us-east-1"
