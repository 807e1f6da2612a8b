"""Small stand-ins for the source's tiles: full size, real names and layout, with pixels where a test wants them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from rasterio.windows import Window as RasterWindow

from embedder.grid import TILE_PIXELS, Tile, Window

REAL = Path(__file__).parents[2] / "shared" / "data"
"""A source with one real tile, N37W076 of 2020; on the developers' machines only."""
REAL_TILE = Tile.from_name("N37W076")
needs_real_tile = pytest.mark.skipif(not REAL.exists(), reason="the real tile is not on this machine")


def write_tile(source: Path, tile: Tile, window: Window, *, year: int = 2020, seed: int = 0, **profile: Any) -> Path:  # noqa: ANN401
    """A tile whose pixels in `window`, in the tile's own pixels, are noise above 0, and all others nodata."""
    path = source / tile.key(year)
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {
        "driver": "GTiff",
        "width": TILE_PIXELS,
        "height": TILE_PIXELS,
        "count": 4,
        "dtype": "uint16",
        "nodata": 0,
        "crs": "EPSG:4326",
        "transform": from_origin(-125 + tile.column, 50 - tile.row, 1 / TILE_PIXELS, 1 / TILE_PIXELS),
        "tiled": True,
        "blockxsize": 1024,
        "blockysize": 1024,
        "compress": "deflate",
        "predictor": 2,
        "interleave": "pixel",
        "sparse_ok": True,
    } | profile
    with rasterio.open(path, "w", **settings) as dataset:
        pixels = noise((settings["count"], window.height, window.width), seed).astype(settings["dtype"])
        dataset.write(pixels, window=RasterWindow(window.x, window.y, window.width, window.height))
    return path


def noise(shape: tuple[int, ...], seed: int) -> NDArray[np.uint16]:
    """Smooth enough to compress a little, and nowhere 0."""
    rng = np.random.default_rng(seed)
    return (rng.integers(1, 60, shape, dtype=np.uint16) + np.arange(shape[-1], dtype=np.uint16) % 3000 + 1).astype(np.uint16)
