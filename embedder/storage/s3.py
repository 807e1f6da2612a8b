"""Storage in S3: one conditional, checksummed request a put, and retries for what boto3 itself does not retry."""

import base64
import hashlib
from collections.abc import Iterator
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError, FlexibleChecksumError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError
from s3transfer.futures import TransferFuture
from s3transfer.manager import TransferManager
from s3transfer.subscribers import BaseSubscriber

from embedder.errors import ConfigurationError, ConflictError, TemporaryError
from embedder.storage import retries
from embedder.storage.base import ANY, Listed, Storage, Stored, check_key, open_stream, os_errors_at
from embedder.storage.s3_client import ObjectStat, s3_client, stat_object
from embedder.storage.s3_errors import NOT_FOUND, REFUSED_FOR_NOW, code_of, s3_errors_at

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import PutObjectRequestTypeDef

CONNECTIONS = 32
"""Kept open, for as many threads."""
PART_BYTES = 16 * 1024 * 1024
"""Larger objects are downloaded in parts of this size, several at a time."""
WRITE_ID = "write-id"
"""The metadata that tells a put's own object from a rival's."""
BROKEN_BODY = (FlexibleChecksumError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
"""A reply that began well, and then broke off or arrived damaged."""
CONDITION_FAILED = {"NoSuchKey", "PreconditionFailed"}
"""Answers to a put whose condition doesn't hold; the first where there is nothing to replace."""
NO_VERSION = "0"
"""What no object's version ever is."""


class S3Storage(Storage):
    """Objects in a bucket whose keys start with `prefix/`. Region, credentials and endpoint are boto3's business."""

    def __init__(self, *, bucket: str, prefix: str) -> None:
        self.bucket = bucket
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._root = f"{prefix}/" if prefix else ""
        self._client = s3_client(attempts=retries.OUTPUT.attempts, max_pool_connections=CONNECTIONS)

    def get(self, key: str) -> Stored:
        """The whole object, its checksum verified where the server keeps one."""

        def get_once() -> Stored:
            response = self._client.get_object(Bucket=self.bucket, Key=self._key(key))
            return Stored(data=response["Body"].read(), version=_unquoted(response["ETag"]))

        with s3_errors_at(self.where(key)):
            return retries.OUTPUT.retrying(lambda error: isinstance(error, BROKEN_BODY))(get_once)

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """The objects whose key starts with `prefix`."""
        with s3_errors_at(self.where(prefix)):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self._root + prefix):
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
        with open_stream(data) as body, s3_errors_at(self.where(key)):
            request["ChecksumSHA256"] = _sha256(body)
            return retries.OUTPUT.retrying(_refused_for_now)(self._put_once, request, body)

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
        parts = TransferConfig(
            multipart_chunksize=PART_BYTES, multipart_threshold=PART_BYTES, num_download_attempts=retries.OUTPUT.attempts
        )
        with os_errors_at(str(path)), s3_errors_at(self.where(key)):
            scratch.mkdir(parents=True, exist_ok=True)
            known = stat_object(self._client, self.bucket, s3_key)
            with TransferManager(self._client, parts) as manager:
                manager.download(self.bucket, s3_key, str(path), subscribers=[_Known(known)]).result()
            found = path.stat().st_size
        if found != known.size:
            raise TemporaryError(f"{self.where(key)} was downloaded as {found} bytes of {known.size}: try again")
        return path

    def check_writable(self) -> None:
        """Try to replace a version that can't exist: only a server that ignores conditions, which won't do, would write."""
        request: PutObjectRequestTypeDef = {"Bucket": self.bucket, "Key": self._key(".write-check"), "IfMatch": f'"{NO_VERSION}"'}
        next(self.list(), None)  # names a bucket that does not exist, which not every server does below
        with s3_errors_at(self.url):
            try:
                self._client.put_object(**request)
            except ClientError as error:
                if code_of(error) in CONDITION_FAILED:
                    return
                raise
        raise ConfigurationError(f"{self.url}: this S3 ignores If-Match, so that two writers could overwrite each other: choose another")

    def _key(self, key: str) -> str:
        return self._root + check_key(key)


class _Known(BaseSubscriber):
    """Spares a download the HEAD that it would begin with."""

    def __init__(self, known: ObjectStat) -> None:
        self._known = known

    def on_queued(self, future: TransferFuture, **_: object) -> None:
        """Say what there is, before anything is asked."""
        future.meta.provide_transfer_size(self._known.size)
        future.meta.provide_object_etag(self._known.etag)


def _refused_for_now(error: BaseException) -> bool:
    return isinstance(error, ClientError) and code_of(error) in REFUSED_FOR_NOW


def _sha256(body: BytesIO | BufferedReader) -> str:
    """As S3 wants it, in base 64."""
    return base64.b64encode(hashlib.file_digest(body, "sha256").digest()).decode()


def _unquoted(etag: str) -> str:
    return etag.strip('"')
