"""The bytes that the dry run names, beside those that are fetched."""

from pathlib import Path

import pytest
import rasterio
from rasterio.windows import Window as RasterWindow

from embedder.grid import BLOCK_PIXELS, TILE_PIXELS, Tile, Window
from embedder.recipes import RECIPES
from embedder.source.inventory import FolderSource, TileFile, list_tiles
from embedder.source.strip import read_strip
from embedder.steps.estimate import estimate
from tests.tiles import noise, write_tile

TILE = Tile.from_name("N49W125")
RECIPE = RECIPES["clay-v0.1"]
ROWS = 32
"""Of each block that hold noise: as much of it in each block, and quickly written."""


class Counting(FolderSource):
    """A folder that counts the bytes it gives out; GDAL's own look at a tile's header is not among them."""

    fetched = 0

    def read_range(self, key: str, file: TileFile, start: int, stop: int) -> bytes:
        found = super().read_range(key, file, start, stop)
        self.fetched += len(found)
        return found


@pytest.fixture(scope="module")
def even(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tile whose blocks are equally large, but for the narrower ones in the east."""
    folder = tmp_path_factory.mktemp("even")
    path = write_tile(folder, TILE, Window(x=0, y=0, width=TILE_PIXELS, height=ROWS))
    with rasterio.open(path, "r+") as dataset:
        for y in range(BLOCK_PIXELS, TILE_PIXELS, BLOCK_PIXELS):
            dataset.write(noise((4, ROWS, TILE_PIXELS), seed=y), window=RasterWindow(0, y, TILE_PIXELS, ROWS))
    return folder


@pytest.mark.parametrize("columns", [[0], [1, 2], [22], list(range(5, 13))], ids=str)
def test_the_estimated_bytes_are_those_fetched_within_5_percent_when_blocks_are_equally_large(even: Path, columns: list[int]) -> None:
    source = Counting(str(even))
    inventory = list_tiles(source, 2020)
    together = len(columns)
    expected = estimate(RECIPE, inventory, columns, [together])[together].source_bytes
    for _ in read_strip(source, inventory, 2020, columns, RECIPE.chip_pixels):
        pass
    assert source.fetched > 1e6
    assert expected == pytest.approx(source.fetched, rel=0.05)
