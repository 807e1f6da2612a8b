"""Pictures decoded and encoded by GDAL, in memory; and a chip's picture from the source's tile."""

import math
import warnings

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from embedder.errors import NotFoundError, TemporaryError
from embedder.grid import Chip, Tile, tile_windows
from embedder.source.inventory import Inventory, Source
from embedder.source.tiles import GDAL_OPTIONS, open_dataset
from embedder.storage import network

warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)  # a picture has no place, and need have none

Image = NDArray[np.uint8]
"""(3, height, width): red, green, blue."""

WIDTH = 256
"""Of every picture, pixels."""
BRIGHTEST = 3_000
"""Reflectance x 10000 that is shown white."""
GAMMA = 0.8
QUALITY = 85
SILENCE_S = 3
"""How long a source may say nothing: behind a picture there is a person."""


def height_of(chip: Chip) -> int:
    """Of the chip's picture, pixels: as tall as the chip is on a Mercator map."""
    return round(WIDTH / math.cos(math.radians(chip.bounds.center[1])))


def decode(data: bytes) -> Image | None:
    """A PNG's or JPEG's colours; None where it is neither, or shows nothing, being all of one colour."""
    driver = {b"\x89PNG": "PNG", b"\xff\xd8\xff\xe0": "JPEG"}.get(data[:4]) or ("JPEG" if data[:2] == b"\xff\xd8" else None)
    if driver is None:
        return None
    try:
        with rasterio.MemoryFile(data) as memory, memory.open(driver=driver) as dataset:
            if dataset.width > 4 * WIDTH or dataset.height > 4 * WIDTH:  # more than was asked for
                return None
            palette = dataset.colormap(1) if dataset.colorinterp[0].name == "palette" else None
            bands = dataset.read()
    except RasterioError:
        return None
    if bands.dtype != np.uint8:
        return None
    if palette is not None:
        colours = np.array([palette.get(index, (0, 0, 0, 0))[:3] for index in range(256)], np.uint8)
        bands = np.moveaxis(colours[bands[0]], 2, 0)
    image: Image = bands[:3] if len(bands) >= 3 else np.repeat(bands[:1], 3, axis=0)  # noqa: PLR2004
    return None if (image == image[:, :1, :1]).all() else image


def encode(image: Image) -> bytes:
    """A JPEG."""
    _, height, width = image.shape
    with rasterio.MemoryFile() as memory:
        profile = {"driver": "JPEG", "width": width, "height": height, "count": 3, "dtype": "uint8", "quality": QUALITY}
        with memory.open(photometric="RGB", **profile) as dataset:
            dataset.write(image)
        encoded: bytes = memory.read()
        return encoded


class TilePictures:
    """Chips cut from the source's tiles, read from their overviews."""

    def __init__(self, source: Source, inventories: dict[int, Inventory]) -> None:
        """`inventories` by year, as far as they are known; of other years each tile is asked for."""
        self._source, self._inventories = source, inventories

    def __call__(self, chip: Chip, year: int) -> bytes | None:
        """A JPEG, white where the source has no tile; None where it has none at all. One attempt: TemporaryError where that fails."""
        height = height_of(chip)
        parts = {tile: window for tile, window in tile_windows(chip.window).items() if self._exists(tile, year)}
        if not parts:
            return None
        image: Image = np.full((3, height, WIDTH), 255, np.uint8)
        options = GDAL_OPTIONS | {"GDAL_HTTP_CONNECTTIMEOUT": str(SILENCE_S), "GDAL_HTTP_LOW_SPEED_TIME": str(SILENCE_S)}
        for tile, window in parts.items():
            x, y = tile.window.x + window.x - chip.window.x, tile.window.y + window.y - chip.window.y
            left, right = (round(edge * WIDTH / chip.pixels) for edge in (x, x + window.width))
            top, bottom = (round(edge * height / chip.pixels) for edge in (y, y + window.height))
            if right > left and bottom > top:
                try:
                    path = self._source.gdal_path(tile.key(year))
                    with rasterio.Env(**options), open_dataset(path) as dataset:
                        pixels = dataset.read(
                            [1, 2, 3],
                            window=RasterWindow(window.x, window.y, window.width, window.height),
                            out_shape=(3, bottom - top, right - left),
                        )
                except RasterioError as error:
                    if refusal := network.refusal(error, f"tile {tile.name}"):
                        raise refusal from error
                    kind = NotFoundError if self._source.is_folder else TemporaryError  # a file stays what it is
                    raise kind(f"tile {tile.name} can't be read from {self._source.location}") from error
                image[:, top:bottom, left:right] = _shown(pixels)
        return encode(image)

    def _exists(self, tile: Tile, year: int) -> bool:
        if year in self._inventories:
            return tile in self._inventories[year]
        try:
            self._source.stat(tile.key(year))
        except NotFoundError:
            return False
        return True


def _shown(pixels: NDArray[np.uint16]) -> Image:
    shown: Image = (255 * np.clip(pixels / BRIGHTEST, 0, 1) ** GAMMA).astype(np.uint8)
    return shown
