"""A run's record, and a manifest."""

from embedder.grid import Tile
from embedder.output.manifest import Manifest, PublishedColumn
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
MANIFEST = Manifest(
    recipe="clay-v0.1",
    year=2020,
    config_digest="c" * 64,
    weights="random:0",
    weights_sha256="a" * 64,
    complete=False,
    chips={"embedded": 3},
    columns={7: PublishedColumn(file="seven.parquet", rows=2, bytes=10, sha256="7" * 64)},
    warning="these embeddings mean nothing",
)
