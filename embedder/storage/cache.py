"""Where downloads are kept between runs on one machine."""

import os
from pathlib import Path

from embedder.errors import ConfigurationError


def folder() -> Path:
    """`$XDG_CACHE_HOME/worldcover-embeddings`, by default below ~/.cache; the first download makes it.

    ConfigurationError for a user without either.
    """
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:
        raise ConfigurationError("this user has no home folder for downloads: set XDG_CACHE_HOME to a folder, or HOME") from error
    return base / "worldcover-embeddings"
