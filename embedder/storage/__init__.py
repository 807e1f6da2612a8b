"""Bytes and where they are kept: keys and bytes come in, and go out as they were put, in a folder or in S3.

Every put is atomic, and says which version it replaces. Import `open_storage` from here; beside it `download` fetches checkpoints,
`cache` and `scratch` are folders of this machine, and `retries` says how often and how long anything is tried again.
"""

import re
from pathlib import Path
from urllib.parse import unquote

from embedder.errors import UsageError
from embedder.storage.base import ANY, Listed, Storage, Stored, check_key, path_of, split_s3
from embedder.storage.folder import FolderStorage

__all__ = ["ANY", "Listed", "Storage", "Stored", "open_readable", "open_storage"]


def open_storage(url: str) -> Storage:
    """The storage at `s3://bucket/prefix`, or in the folder `path` or `file:///path`. Asks nothing of it yet."""
    scheme, separator, place = url.partition(":")
    if separator and scheme.lower() == "s3":
        return _open_s3(url)
    if separator and scheme.lower() == "file":
        return FolderStorage(_folder_of(place))
    if "://" in url:
        raise UsageError(f"cannot store at a {scheme}:// address: give s3://bucket/prefix or a folder")
    if not url.strip():
        raise UsageError("the place to store at is empty: give s3://bucket/prefix or a folder")
    return FolderStorage(path_of(url).absolute())


def open_readable(url: str) -> Storage:
    """The same to read from alone: also at an https address, and in a bucket unsigned where there are no credentials."""
    scheme = url.partition("://")[0].lower()
    if scheme in {"http", "https"}:
        from embedder.storage.web import WebStorage  # noqa: PLC0415 - a pod needs none

        return WebStorage(url)
    return _open_s3(url, unsigned=None) if scheme == "s3" else open_storage(url)


def _open_s3(url: str, *, unsigned: bool | None = False) -> Storage:
    try:
        bucket, prefix = split_s3(url)
        if prefix:
            check_key(prefix)
    except ValueError as error:
        raise UsageError(f"{error}: give s3://bucket/prefix") from None
    from embedder.storage.s3 import S3Storage  # noqa: PLC0415 - a folder needs no boto3

    return S3Storage(bucket=bucket, prefix=prefix, unsigned=unsigned)


def _folder_of(place: str) -> Path:
    match = re.fullmatch(r"//(?:localhost)?(/.*)", place)
    if not match:
        raise UsageError("a file:// address that names no folder of this machine: give file:///path, or the path alone")
    return Path(unquote(match[1]))
