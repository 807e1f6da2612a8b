"""Four tiles that meet at a corner: read by us, and mosaicked by rasterio."""

from pathlib import Path

import numpy as np
import rasterio
import rasterio.merge
from numpy.typing import NDArray

from embedder.grid import Chip, Tile, bounds_of
from embedder.source.inventory import Inventory, Source, list_tiles
from embedder.source.strip import ChipRead, read_strip

YEAR = 2020
CORNER = {"N49W125": (11_000, 11_000), "N49W124": (0, 11_000), "N48W125": (11_000, 0), "N48W124": (0, 0)}
"""Tiles that meet at a corner, and where each has pixels: 1000 x 1000 of them, next to the corner."""


def read(source: Source, columns: list[int], chip_pixels: int = 512, inventory: Inventory | None = None) -> list[ChipRead]:
    return list(read_strip(source, inventory or list_tiles(source, YEAR), YEAR, columns, chip_pixels))


def oracle(folder: Path, chip: Chip) -> NDArray[np.uint16]:
    """The chip as rasterio mosaics it."""
    bounds = bounds_of(chip.window)
    paths = [path for name in CORNER if (path := folder / Tile.from_name(name).key(YEAR)).exists()]
    pixels, _ = rasterio.merge.merge(paths, bounds=(bounds.west, bounds.south, bounds.east, bounds.north), res=1 / 12_000)
    return np.asarray(pixels)
