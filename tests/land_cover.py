"""Made-up land cover maps in the layout of the real one's bucket, whose chips' classes a test knows."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window as RasterWindow

from embedder.grid import Window

SOUTH, WEST = 48, -126
"""Corner of the map's tile that holds the grid's north-west corner; its first pixel is 12000 pixels west and north of that."""
PIXELS = 36_000


def write_map(folder: Path, classes: Mapping[Window, int], *, year: int = 2020, south: int = SOUTH, west: int = WEST) -> Path:
    """A tile of the map that has these classes in these windows of the grid's pixels, as far as they lie in it, and no class elsewhere."""
    version = {2020: "v100", 2021: "v200"}[year]
    path = folder / version / str(year) / "map" / f"ESA_WorldCover_10m_{year}_{version}_N{south:02d}W{-west:03d}_Map.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {
        "driver": "GTiff",
        "width": PIXELS,
        "height": PIXELS,
        "count": 1,
        "dtype": "uint8",
        "nodata": 0,
        "crs": "EPSG:4326",
        "transform": from_origin(west, south + 3, 1 / 12_000, 1 / 12_000),
        "tiled": True,
        "blockxsize": 1024,
        "blockysize": 1024,
        "compress": "deflate",
        "sparse_ok": True,
    }
    left, top = (-125 - west) * 12_000, (south + 3 - 50) * 12_000
    with rasterio.open(path, "w", **settings) as dataset:
        for window, number in classes.items():
            x, y = max(window.x + left, 0), max(window.y + top, 0)
            right, bottom = min(window.x + left + window.width, PIXELS), min(window.y + top + window.height, PIXELS)
            if right > x and bottom > y:
                pixels = np.full((1, bottom - y, right - x), number, np.uint8)
                dataset.write(pixels, window=RasterWindow(x, y, right - x, bottom - y))
    return path
