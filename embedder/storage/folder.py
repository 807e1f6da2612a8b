"""Storage in a folder: files appear whole or not at all, and are on the disk when `put` returns."""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from embedder.errors import ConfigurationError, ConflictError, NotFoundError
from embedder.storage.base import ANY, Listed, Storage, Stored, check_key, open_stream, os_errors_at

NO_UNNAMED_FILES = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}
"""What file systems, and systems, without O_TMPFILE answer."""


class FolderStorage(Storage):
    """Files under a folder, which the first put makes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def get(self, key: str) -> Stored:
        """The file's content and version, both of the same write."""
        with os_errors_at(self.where(key)), self._path(key).open("rb") as file:
            return Stored(data=file.read(), version=_version(os.fstat(file.fileno())))

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """The files whose key starts with `prefix`, without hidden ones; nothing where there is no such folder."""
        above = prefix.rpartition("/")[0]
        with os_errors_at(self.where(above)):
            keys = [path.relative_to(self.root).as_posix() for path in files_below(self._path(above) if above else self.root)]
        for key in sorted(key for key in keys if key.startswith(prefix)):
            try:
                with os_errors_at(self.where(key)):
                    status = self._path(key).stat()
            except NotFoundError:  # gone since
                continue
            yield Listed(key=key, size=status.st_size, version=_version(status))

    def put(self, key: str, data: bytes | Path, *, replaces: str | None = None) -> str:
        """Write a file that has no name yet, and then name it."""
        path = self._path(key)
        with open_stream(data) as content, os_errors_at(self.where(key)):
            _make_folder(path.parent)
            with _descriptor(path.parent) as folder, _draft(folder) as (draft, source):
                shutil.copyfileobj(content, draft, 1 << 20)
                draft.flush()
                os.utime(draft.fileno(), ns=(time.time_ns(), time.time_ns()))  # the system's own times tell no two quick writes apart
                os.fsync(draft.fileno())
                if not _name(source, path.name, folder, replaces):
                    raise ConflictError(f"{self.where(key)} was written by another process in the meantime: run again")
                os.fsync(folder)
                return _version(os.fstat(draft.fileno()))

    def local_path(self, key: str, scratch: Path) -> Path:  # noqa: ARG002 - of use to other storages
        """The file itself."""
        with os_errors_at(self.where(key)):
            self._path(key).stat()
        return self._path(key)

    def check_writable(self) -> None:
        """Ask the system about the folder, or about the one to make it in."""
        with os_errors_at(self.url):
            folder = next(path for path in (self.root, *self.root.parents) if path.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigurationError(f"{folder} is no folder that this user may write to: choose another, or change its owner")

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)


def _version(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"


def files_below(folder: Path) -> Iterator[Path]:
    """All files below, without hidden ones and those in hidden folders; OSError where a folder cannot be read."""

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent) / name for name in names if not name.startswith("."))


def _make_folder(folder: Path) -> None:
    """Make the folder and those above it, on the disk too."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    with _descriptor(folder.parent) as parent:
        os.fsync(parent)


@contextmanager
def _descriptor(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _draft(folder: int) -> Iterator[tuple[BinaryIO, str]]:
    """A new file to write, and the path to link it from: one without a name, which dies with the process, where the system can."""
    hidden = f".{uuid4().hex}"
    try:
        draft = os.open(".", os.O_WRONLY | getattr(os, "O_TMPFILE", 0), 0o666, dir_fd=folder)
    except OSError as error:
        if error.errno not in NO_UNNAMED_FILES:
            raise
        draft = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder)
        source = hidden
    else:
        source = f"/proc/self/fd/{draft}"
    try:
        with os.fdopen(draft, "wb") as file:
            yield file, source
    finally:
        if source == hidden:
            os.unlink(hidden, dir_fd=folder)


def _name(source: str, name: str, folder: int, replaces: str | None) -> bool:
    """Give the file at `source` its name in the folder, unless the file of that name is not the one to replace."""
    if replaces is None:
        try:
            os.link(source, name, src_dir_fd=folder, dst_dir_fd=folder)
        except FileExistsError:
            return False
        return True
    with _locked(name, folder) as found:
        if replaces not in (ANY, found):
            return False
        hidden = f".{uuid4().hex}"
        os.link(source, hidden, src_dir_fd=folder, dst_dir_fd=folder)
        os.replace(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
        return True


@contextmanager
def _locked(name: str, folder: int) -> Iterator[str | None]:
    """The version of the file of this name, or None, while no other put replaces that version.

    The lock is on the file, as network file systems can't lock folders. A put that waited for it then finds
    another file under the name, and so another version.
    """
    try:
        file = os.open(name, os.O_RDWR, dir_fd=folder)
    except FileNotFoundError:
        yield None
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield _version(os.stat(name, dir_fd=folder))
    finally:
        os.close(file)
