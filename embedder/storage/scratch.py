"""Temporary folders that also go when a signal ends the process, and, a day later, what a process that was killed could not remove."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from embedder.storage.base import check_utf8

LEFT_AFTER_S = 24 * 3600
"""Nobody keeps what is meant here so long without writing to it: on this host or another, its process is gone."""
_UUID4 = "[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}"
LEFT_FOLDERS = re.compile(rf"embedder-{_UUID4}|\.write-check-[a-z0-9_]{{8}}")
"""Those of `scratch_folder`, and those in which `check_writable` tries a folder out."""
LEFT_FILES = re.compile(rf"\.{_UUID4}")
"""The drafts of `FolderStorage.put`."""

_in_use: set[Path] = set()


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder below `parent`, or $TMPDIR, for gigabytes if need be. Whoever first writes there makes it."""
    parent = check_utf8(parent or Path(tempfile.gettempdir()))
    remove_leftovers(parent)
    folder = parent / f"embedder-{uuid4().hex}"
    _in_use.add(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _in_use.discard(folder)


def remove_scratch_folders() -> None:
    """Remove those in use, also while they are written to: the process is about to end."""
    for folder in list(_in_use):
        for _ in range(10):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break


def remove_leftovers(parent: Path) -> None:
    """Remove what is left in a folder of processes that were killed: what is ours by its name, and has not changed for a day."""
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False) and LEFT_FOLDERS.fullmatch(entry.name) and _is_left(Path(entry)):
                    shutil.rmtree(entry, ignore_errors=True)
                elif entry.is_file(follow_symlinks=False) and LEFT_FILES.fullmatch(entry.name) and _is_left(Path(entry)):
                    os.unlink(entry)  # noqa: PTH108


def _is_left(path: Path) -> bool:
    """Whether nothing in it has changed for a day, nor itself."""
    paths = [path, *(path.rglob("*") if path.is_dir() else ())]
    return all(each.lstat().st_mtime < time.time() - LEFT_AFTER_S for each in paths)
