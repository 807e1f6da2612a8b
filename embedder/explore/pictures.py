"""A chip's picture: from the disk, from a WMS, or from the source's tile; always a JPEG that this program has made itself."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from embedder.errors import EmbedderError, TemporaryError
from embedder.explore.wms import Wms
from embedder.grid import Chip

CACHE_BYTES = 256_000_000
"""Of pictures on the disk; the oldest go first."""
KEPT = 0.8
"""The part of these that is left after a tidying."""

TilePicture = Callable[[Chip, int], bytes | None]
"""A chip's picture from the source's tile; None where there is no tile."""


class Pictures:
    """Pictures of chips, for several threads. No request's text ever becomes a path: names are made from the chip's numbers."""

    def __init__(self, folder: Path, wms: Wms | None, from_tile: TilePicture) -> None:
        self._folder, self._wms, self._from_tile = folder, wms, from_tile
        self._tidying = threading.Lock()
        self._size: int | None = None

    def get(self, chip: Chip, year: int) -> bytes:
        """A JPEG; TemporaryError, with a sentence for a person, where neither the WMS nor the tile answers."""
        path = self._folder / f"{year}-{chip.pixels}-{chip.id}.jpg"
        with suppress(OSError):
            return path.read_bytes()
        picture = self._wms.picture(chip, year) if self._wms else None
        from_wms = picture is not None
        if picture is None:
            try:
                picture = self._from_tile(chip, year)
            except EmbedderError as error:
                raise TemporaryError(f"no picture of chip {chip.id} in {year} now: {self._why()}, nor the tile ({error})") from error
        if picture is None:
            raise TemporaryError(f"no picture of chip {chip.id} in {year}: {self._why()}, and the source has no tile there")
        if from_wms or not (self._wms and self._wms.is_resting):  # a stand-in is not kept for good while the WMS is away
            self._keep(path, picture)
        return picture

    def _why(self) -> str:
        return "the WMS does not answer" if self._wms else "no WMS is configured"

    def _keep(self, path: Path, picture: bytes) -> None:
        with suppress(OSError):  # a full disk is no reason to show no picture
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{uuid4().hex}")
            draft.write_bytes(picture)
            draft.replace(path)
            self._tidy(len(picture))

    def _tidy(self, added: int) -> None:
        with self._tidying:
            if self._size is not None and self._size + added <= CACHE_BYTES:
                self._size += added
                return
            files = sorted((status.st_mtime, status.st_size, path) for path in self._folder.iterdir() for status in [path.stat()])
            size = sum(length for _, length, _ in files)
            now = time.time()
            for changed, length, path in files if size > CACHE_BYTES else []:
                if size <= KEPT * CACHE_BYTES:
                    break
                if path.suffix == ".jpg" or now - changed > 60:  # noqa: PLR2004 - seconds: a draft that nobody is writing
                    path.unlink(missing_ok=True)
                    size -= length
            self._size = size
