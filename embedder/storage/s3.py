"""Storage in S3: one conditional, checksummed request a put, and each request tried again as `retries` says."""

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from http import HTTPStatus
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from botocore import UNSIGNED
from botocore.exceptions import ClientError

from embedder.errors import (
    AccessDeniedError,
    ConfigurationError,
    ConflictError,
    EmbedderError,
    NoListingError,
    NotFoundError,
    TemporaryError,
)
from embedder.storage import retries
from embedder.storage.base import ANY, Listed, Storage, Stored, check_key, open_stream, os_errors_at
from embedder.storage.s3_client import list_objects, s3_client, stat_object
from embedder.storage.s3_errors import NOT_FOUND, code_of, s3_errors_at

T = TypeVar("T")

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import PutObjectRequestTypeDef

CONNECTIONS = 32
"""Kept open, for as many threads."""
PART_BYTES, PARTS_AT_ONCE = 16 * 1024 * 1024, 10
"""Larger objects are downloaded in parts of this size, several at a time."""
CHUNK = 1 << 20
"""Bytes written at a time."""
WRITE_ID = "write-id"
"""The metadata that tells a put's own object from a rival's."""
CONDITION_FAILED = {"NoSuchKey", "PreconditionFailed"}
"""Answers to a put whose condition doesn't hold; the first where there is nothing to replace."""
ABSENT = "does not exist, or is not public: check the address, or set AWS credentials"
"""What a refusal of an unsigned request means: where a bucket can't be listed, a key that does not exist is refused too."""
NO_VERSION = "0"
"""What no object's version ever is."""


class S3Storage(Storage):
    """Objects in a bucket whose keys start with `prefix/`. Region, credentials and endpoint are boto3's business."""

    def __init__(self, *, bucket: str, prefix: str, unsigned: bool | None = False) -> None:
        """Read unsigned with `unsigned`; with None, where there are no credentials: what is refused then is not there, or not public."""
        self.bucket = bucket
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._root = f"{prefix}/" if prefix else ""
        self._client = s3_client(unsigned=unsigned, max_pool_connections=CONNECTIONS)
        if getattr(self._client.meta.config, "signature_version", None) is UNSIGNED:
            self.remark = f"no AWS credentials are found: {self.url} is read unsigned, as public data"

    def get(self, key: str) -> Stored:
        """The whole object, its checksum verified where the server keeps one."""

        def get_once() -> Stored:
            response = self._client.get_object(Bucket=self.bucket, Key=self._key(key))
            return Stored(data=response["Body"].read(), version=_unquoted(response["ETag"]))

        with self._refused(NotFoundError(f"{self.where(key)} {ABSENT}")):
            return self._patiently(key, get_once)

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """The objects whose key starts with `prefix`."""
        pages = list_objects(self._client, self.bucket, self._root + prefix, partial(self._patiently, prefix))
        with self._refused(NoListingError(f"{self.where(prefix)} can't be listed without credentials: set them, or name its files")):
            for page in pages:
                for found in page.get("Contents", []):
                    if not found["Key"].endswith("/"):  # what S3's web console makes of a folder
                        yield Listed(key=found["Key"].removeprefix(self._root), size=found["Size"], version=_unquoted(found["ETag"]))

    def put(self, key: str, data: bytes | Path, *, replaces: str | None = None) -> str:
        """Write the object in one request, which the server refuses where its condition or checksum doesn't hold."""
        request: PutObjectRequestTypeDef = {"Bucket": self.bucket, "Key": self._key(key), "Metadata": {WRITE_ID: uuid4().hex}}
        if replaces is None:
            request["IfNoneMatch"] = "*"
        elif replaces != ANY:
            request["IfMatch"] = f'"{replaces}"'
        with open_stream(data) as body:
            request["ChecksumSHA256"] = _sha256(body)
            return self._patiently(key, lambda: self._put_once(request, body))

    def _put_once(self, request: "PutObjectRequestTypeDef", body: BytesIO | BufferedReader) -> str:
        body.seek(0)
        request["Body"] = body
        try:
            return _unquoted(self._client.put_object(**request)["ETag"])
        except ClientError as error:
            if code_of(error) not in CONDITION_FAILED:
                raise
            version = self._version_of_write(request)
            if version is None:
                where = f"s3://{self.bucket}/{request['Key']}"
                raise ConflictError(f"{where} was written by another process in the meantime: run again") from error
            return version

    def _version_of_write(self, request: "PutObjectRequestTypeDef") -> str | None:
        """The object's version if it is what this request put, in an attempt whose reply was lost; None if it is not."""
        try:
            found = stat_object(self._client, self.bucket, request["Key"])
        except ClientError as error:
            if code_of(error) in NOT_FOUND:
                return None
            raise
        return _unquoted(found.etag) if found.metadata.get(WRITE_ID) == request.get("Metadata", {}).get(WRITE_ID) else None

    def local_path(self, key: str, scratch: Path) -> Path:
        """A download, in parallel parts of one and the same version, to a file named like the key's last part."""
        path, s3_key = scratch / Path(key).name, self._key(key)
        with self._refused(NotFoundError(f"{self.where(key)} {ABSENT}")):
            known = self._patiently(key, lambda: stat_object(self._client, self.bucket, s3_key))

        def fetch(start: int) -> None:
            stop = min(start + PART_BYTES, known.size)
            with os_errors_at(str(path)):
                self._patiently(key, lambda: self._fetch_part(s3_key, known.etag, start, stop, file.fileno()))

        with os_errors_at(str(path)):
            scratch.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file, ThreadPoolExecutor(PARTS_AT_ONCE, thread_name_prefix="download") as pool:
                parts = [pool.submit(fetch, start) for start in range(0, known.size, PART_BYTES)]
                try:
                    for part in parts:
                        part.result()
                finally:
                    pool.shutdown(cancel_futures=True)
        return path

    def _fetch_part(self, s3_key: str, etag: str, start: int, stop: int, file: int) -> None:
        """Write the object's bytes [start, stop) where they belong."""
        try:
            reply = self._client.get_object(Bucket=self.bucket, Key=s3_key, Range=f"bytes={start}-{stop - 1}", IfMatch=etag)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.PRECONDITION_FAILED:
                raise
            raise ConflictError(f"s3://{self.bucket}/{s3_key} has changed while it was downloaded: try again") from error
        at = start
        with closing(reply["Body"]) as body:
            while chunk := body.read(CHUNK):
                os.pwrite(file, chunk, at)
                at += len(chunk)
        if at != stop:
            raise TemporaryError(f"s3://{self.bucket}/{s3_key} came with {at - start} bytes of {stop - start}: try again")

    def check_writable(self) -> None:
        """Try to replace a version that can't exist: only a server that ignores conditions, which won't do, would write."""
        request: PutObjectRequestTypeDef = {"Bucket": self.bucket, "Key": self._key(".write-check"), "IfMatch": f'"{NO_VERSION}"'}
        next(self.list(), None)  # names a bucket that does not exist, which not every server does below

        def takes_conditions() -> bool:
            try:
                self._client.put_object(**request)
            except ClientError as error:
                if code_of(error) in CONDITION_FAILED:
                    return True
                raise
            return False

        if self._patiently("", takes_conditions):
            return
        raise ConfigurationError(f"{self.url}: this S3 ignores If-Match, so that two writers could overwrite each other: choose another")

    def _key(self, key: str) -> str:
        return self._root + check_key(key)

    @contextmanager
    def _refused(self, error: EmbedderError) -> Iterator[None]:
        """Raise this error where an unsigned request is refused."""
        try:
            yield
        except AccessDeniedError as refusal:
            raise (error if self.remark else refusal) from refusal

    def _patiently(self, key: str, attempt: Callable[[], T]) -> T:
        """What `attempt` returns, in the end; errors name the key."""

        def named() -> T:
            with s3_errors_at(self.where(key) if key else self.url):
                return attempt()

        return retries.Patience(self.url)(named)


def _sha256(body: BytesIO | BufferedReader) -> str:
    """As S3 wants it, in base 64."""
    return base64.b64encode(hashlib.file_digest(body, "sha256").digest()).decode()


def _unquoted(etag: str) -> str:
    return etag.strip('"')
