"""Temporary folders that also go when a signal ends the process."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

_in_use: set[Path] = set()


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder below `parent`, or $TMPDIR, for gigabytes if need be. Whoever first writes there makes it."""
    folder = (parent or Path(tempfile.gettempdir())) / f"embedder-{uuid4().hex}"
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
