"""Storage in a folder: files appear whole or not at all, and are on the disk when `put` returns.

A file is written without a name, and then linked to it, which fails where the name is taken. SMB, exFAT and gcsfuse have no links:
there a hidden file is renamed, under a lock of the folder, as a rename alone replaces what is there (SMB's does so even where it is told
not to). The system drops the lock of a process that ends. Locks reach as far as the file system takes them: gcsfuse's one machine.
"""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from uuid import uuid4

from embedder.errors import ConfigurationError, ConflictError, NotFoundError
from embedder.storage.base import ANY, PASSING_ERRNOS, Listed, Storage, Stored, check_key, open_stream, os_errors_at
from embedder.storage.scratch import remove_leftovers

LOCK = ".lock"
"""The hidden, empty file that is locked where there are no links. It stays: a lock on a file that comes and goes excludes nobody."""
NO_LINKS = {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.EMLINK, errno.ENOENT}
"""What file systems without hard links answer; the last where /proc, by which a nameless file is linked, is not mounted."""
NO_FOLDER_SYNC = {errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOSYS}
"""What file systems answer that have nothing of a folder to sync."""
OVERWRITTEN = "two writers could overwrite each other"


class FolderStorage(Storage):
    """Files under a folder, which the first put makes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def get(self, key: str) -> Stored:
        """The file's content and version, both of the same write."""
        with os_errors_at(self.where(key)):
            try:
                with self._path(key).open("rb") as file:
                    return Stored(data=file.read(), version=_version(os.fstat(file.fileno())))
            except FileNotFoundError as error:
                if self._path(key).is_symlink():  # and so its name is taken
                    raise ConfigurationError(f"{self.where(key)} is a link that leads nowhere: remove it, then run again") from error
                raise

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
            with _descriptor(path.parent) as folder:
                try:
                    version = _put(content, path.name, folder, replaces)
                except _NoLocksError as error:
                    advice = f"so that {OVERWRITTEN}: choose another, or mount it with locks"
                    raise ConfigurationError(f"{self.url}: its file system has no locks ({error}), {advice}") from error
                if version is None:
                    raise ConflictError(f"{self.where(key)} was written by another process in the meantime: run again")
                _sync(folder)
                return version

    def local_path(self, key: str, scratch: Path) -> Path:  # noqa: ARG002 - of use to other storages
        """The file itself."""
        with os_errors_at(self.where(key)):
            self._path(key).stat()
        return self._path(key)

    def check_writable(self) -> None:
        """Put, and put again, a hidden file in the folder, or in the one to make it in, where it is gone again when this returns."""
        with os_errors_at(self.url):
            folder = next(path for path in (self.root, *self.root.parents) if path.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigurationError(f"{folder} is no folder that this user may write to: choose another, or change its owner")
        remove_leftovers(folder)
        with os_errors_at(str(folder)), TemporaryDirectory(prefix=".write-check-", dir=folder) as probe:
            storage, key = FolderStorage(folder), f"{Path(probe).name}/probe"
            version = storage.put(key, b"")
            with suppress(ConflictError):
                storage.put(key, b"")
                raise ConfigurationError(f"{folder}: its file system replaces files unasked, so that {OVERWRITTEN}: choose another")
            try:
                storage.put(key, b"", replaces=version)
            except ConflictError as error:
                advice = "so that nobody can tell who wrote it last: choose another"
                raise ConfigurationError(f"{folder}: its file system changes a file's time or number by itself, {advice}") from error

    def tidy(self, prefix: str) -> None:
        """Remove drafts that are a day old."""
        remove_leftovers(self._path(prefix.rstrip("/")))

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
        _sync(parent)


@contextmanager
def _descriptor(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sync(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise


class _NoNameError(Exception):
    """A draft without a name can't be given one here."""


class _NoLinksError(Exception):
    """Files can't be linked here."""


class _NoLocksError(Exception):
    """Files can't be locked here."""


Draft = Callable[[int], AbstractContextManager[tuple[BinaryIO, str]]]
"""Of a folder: a new file to write, and the path to name it by."""


@contextmanager
def _nameless(folder: int) -> Iterator[tuple[BinaryIO, str]]:
    """A draft that dies with the process. _NoNameError where the system has none, or can't link it."""
    try:
        draft = os.open(".", os.O_WRONLY | os.O_TMPFILE, 0o666, dir_fd=folder)
    except (AttributeError, OSError) as error:  # whatever is wrong besides, the next kind of draft meets too
        raise _NoNameError from error
    with os.fdopen(draft, "wb") as file:
        yield file, f"/proc/self/fd/{draft}"


@contextmanager
def _hidden(folder: int) -> Iterator[tuple[BinaryIO, str]]:
    """A draft with a hidden name."""
    hidden = f".{uuid4().hex}"
    draft = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder)
    try:
        with os.fdopen(draft, "wb") as file:
            yield file, hidden
    finally:
        with suppress(FileNotFoundError):  # renamed
            os.unlink(hidden, dir_fd=folder)


def _put(content: BinaryIO, name: str, folder: int, replaces: str | None) -> str | None:
    """Write the file and name it, unless the file of that name is not the one to replace. Its version, or None."""
    try:
        return _write(content, name, folder, replaces, _nameless)
    except _NoNameError:
        return _write(content, name, folder, replaces, _hidden)


def _write(content: BinaryIO, name: str, folder: int, replaces: str | None, drafted: Draft) -> str | None:
    with drafted(folder) as (draft, source):
        shutil.copyfileobj(content, draft, 1 << 20)
        draft.flush()
        os.utime(draft.fileno(), ns=(time.time_ns(), time.time_ns()))  # the system's own times tell no two quick writes apart
        os.fsync(draft.fileno())
        try:
            return _version(os.fstat(draft.fileno())) if _name(source, name, folder, replaces) else None
        except _NoLinksError as error:
            if drafted is _nameless:
                content.seek(0)
                raise _NoNameError from error
        draft.close()  # where there are no links, a rename may want that
        return _rename(source, name, folder, replaces)


def _name(source: str, name: str, folder: int, replaces: str | None) -> bool:
    """Give the file at `source` its name in the folder, unless the file of that name is not the one to replace."""
    if replaces is None:
        try:
            _link(source, name, folder)
        except FileExistsError:
            return False
        return True
    with _locked(name, folder) as found:
        if replaces not in (ANY, found):
            return False
        hidden = f".{uuid4().hex}"
        _link(source, hidden, folder)
        os.replace(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
        return True


def _link(source: str, name: str, folder: int) -> None:
    try:
        os.link(source, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        raise _NoLinksError from error


def _rename(source: str, name: str, folder: int, replaces: str | None) -> str | None:
    """The same without links: the file's version, which a rename may change, or None."""
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o666, dir_fd=folder)
    try:
        _lock(lock)
        try:
            found = _version(os.stat(name, dir_fd=folder))
        except FileNotFoundError:
            found = None
        if replaces not in (ANY, found):
            return None
        os.replace(source, name, src_dir_fd=folder, dst_dir_fd=folder)
        return _version(os.stat(name, dir_fd=folder))
    finally:
        os.close(lock)


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
        _lock(file)
        yield _version(os.stat(name, dir_fd=folder))
    finally:
        os.close(file)


def _lock(file: int) -> None:
    """Wait until nobody else has the file locked, and lock it until it is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno in PASSING_ERRNOS:
            raise
        raise _NoLocksError(error.strerror) from error
