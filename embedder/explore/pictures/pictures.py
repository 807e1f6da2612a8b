"""A chip's picture: from the disk, from a WMS, or from the source's tile; always a JPEG that this program has made itself."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from uuid import uuid4

from embedder.errors import EmbedderError, NotFoundError, TemporaryError
from embedder.explore.pictures.rest import Rest
from embedder.explore.pictures.wms import Wms
from embedder.grid import Chip

CACHE_BYTES = 256_000_000
"""Of pictures on the disk; the oldest go first."""
KEPT = 0.8
"""The part of these that is left after a tidying."""

Ask = Callable[[Chip, int], bytes | None]
"""For a chip's JPEG in a year; None where there is none. EmbedderError where that can't be known now."""
Origin = Literal["wms", "tile"]
"""Whether a picture is the WMS's or cut from the source's tile. Their colours differ."""
NAMES: dict[Origin, str] = {"wms": "WMS", "tile": "source"}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A chip's picture."""

    jpeg: bytes = field(repr=False)
    origin: Origin


class Pictures:
    """Pictures of chips, for several threads. No request's text ever becomes a path: names are made from the chip's numbers."""

    def __init__(self, folder: Path, wms: Wms | None, from_tile: Ask | None) -> None:
        self._folder = folder
        self._from_wms, self._from_tile = wms.picture if wms else None, from_tile
        self._rests: dict[tuple[Origin, int], Rest] = {}
        """By year too: each has its own layer, and one may be missing."""
        self._turns = [threading.Lock() for _ in range(64)]
        self._tidying = threading.Lock()
        self._size: int | None = None

    def get(self, chip: Chip, year: int, beside: int | None = None) -> Picture:
        """From the WMS, otherwise from the tile; beside the picture of another year, from the WMS only where it has both.

        Without one, the error is a sentence for a person: TemporaryError if there may be one later, otherwise NotFoundError.
        """
        errors = []
        pair = sorted({year, year if beside is None else beside})
        origins: dict[Origin, list[int]] = {"wms": pair, "tile": [year]}
        with self._turns[hash(chip) % len(self._turns)]:  # who asks for the other year meanwhile finds both on the disk
            for origin, years in origins.items():
                try:
                    found = {each: self._one(origin, chip, each) for each in years}
                    return Picture(jpeg=found[year], origin=origin)
                except EmbedderError as error:
                    errors.append(error)
        is_final = not any(isinstance(error, TemporaryError) for error in errors)
        sentence = f"no picture of chip {chip.id} in {year}: {', and '.join(map(str, errors))}"
        raise NotFoundError(sentence) if is_final else TemporaryError(sentence)

    def _one(self, origin: Origin, chip: Chip, year: int) -> bytes:
        path = self._folder / f"{year}-{chip.pixels}-{chip.id}-{origin}.jpg"
        with suppress(OSError):
            return path.read_bytes()
        name, rest = NAMES[origin], self._rests.setdefault((origin, year), Rest())
        ask = self._from_wms if origin == "wms" else self._from_tile
        if ask is None:
            raise NotFoundError(f"there is no {name}")
        if not rest.may_ask():
            raise TemporaryError(f"the {name} does not answer")
        try:
            jpeg = ask(chip, year)
        except TemporaryError:
            rest.failed()
            raise
        except EmbedderError:
            rest.answered()
            raise
        rest.answered()
        if jpeg is None:
            raise NotFoundError(f"the {name} has none")
        self._keep(path, jpeg)
        return jpeg

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
