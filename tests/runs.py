"""A run's record."""

from embedder.grid import Tile
from embedder.output.run import Run
from embedder.recipes import RECIPES
from embedder.source.inventory import TileFile

TILE, OTHER_TILE = Tile.from_name("N37W076"), Tile.from_name("N30W100")
RUN = Run(
    recipe=RECIPES["clay-v0.1"],
    year=2020,
    source="s3://bucket",
    inventory={TILE: TileFile(etag='"etag"', size=30)},
    weights="clay.ckpt",
    checkpoint_sha256="c" * 64,
    weights_sha256="a" * 64,
    precision="auto",
    columns=(1, 2, 3, 7),
)
