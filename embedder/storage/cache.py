"""Where downloads are kept between runs on one machine."""

import os
from pathlib import Path


def folder() -> Path:
    """`$XDG_CACHE_HOME/worldcover-embeddings`, by default below ~/.cache; the first download makes it."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "worldcover-embeddings"
