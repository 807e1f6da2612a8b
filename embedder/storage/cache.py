"""Where downloads are kept between runs on one machine."""

import os
from pathlib import Path

from embedder.errors import ConfigurationError
from embedder.storage.base import check_utf8


def folder() -> Path:
    """`$XDG_CACHE_HOME/worldcover-embeddings`, by default below ~/.cache; the first download makes it.

    ConfigurationError for a user without either.
    """
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:
        raise ConfigurationError("this user has no home folder for downloads: set XDG_CACHE_HOME to a folder, or HOME") from error
    return check_utf8(base) / "worldcover-embeddings"


def made_folder() -> Path:
    """The same, which is there now; ConfigurationError where it can't be."""
    path = folder()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the cache {path} can't be made ({error.strerror}): set XDG_CACHE_HOME to a folder") from error
    return path
