"""What a run will read and compute, from the listing of the source alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from embedder.grid import BLOCK_PIXELS, TILE_PIXELS, Window, column_window, tile_windows
from embedder.recipes import Recipe
from embedder.source.inventory import Inventory
from embedder.source.strip import chips_with_tiles

POD_START_SECONDS = 40
"""From a pod's creation to its first chip, on a node that is there and has the image."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Of a run."""

    columns: int
    columns_with_tiles: int
    pods: int
    """Of the fan-out; each reads adjacent columns together."""
    chips: int
    """That touch tiles which exist: some of them may turn out to be nodata."""
    source_bytes: int
    """To be fetched, were all blocks of a tile equally large."""

    def __str__(self) -> str:
        """Aligned lines for a person."""
        size = self.source_bytes
        return "\n".join(
            (
                f"  columns  {self.columns}, {self.columns_with_tiles} of them with tiles",
                f"  chips    {self.chips} at most",
                f"  to read  about {f'{size / 1e9:.1f} GB' if size >= 1e9 else f'{size / 1e6:.1f} MB'} of the source",  # noqa: PLR2004
            )
        )

    def pod_hours(self, chips_per_second: float) -> float:
        """Of the fan-out, where each pod embeds at this rate; a pod's start counts too."""
        return (self.chips / chips_per_second + self.pods * POD_START_SECONDS) / 3600


def estimate(recipe: Recipe, inventory: Inventory, shards: Sequence[Sequence[int]]) -> Estimate:
    """For pods that each read one of the shards, adjacent columns, as a strip."""
    chips = {column: sum(chips_with_tiles(inventory, column, recipe.chip_pixels)) for shard in shards for column in shard}
    return Estimate(
        columns=len(chips),
        columns_with_tiles=sum(map(bool, chips.values())),
        pods=len(shards),
        chips=sum(chips.values()),
        source_bytes=round(sum(_fetched(shard, inventory) for shard in shards)),
    )


def _fetched(shard: Sequence[int], inventory: Inventory) -> float:
    """Bytes of the blocks that a strip touches."""
    first, last = column_window(shard[0]), column_window(shard[-1])
    strip = Window(x=first.x, y=0, width=last.x + last.width - first.x, height=first.height)
    return sum(
        inventory[tile].size * _in_blocks(part.x, part.width) * _in_blocks(part.y, part.height) / TILE_PIXELS**2
        for tile, part in tile_windows(strip).items()
        if tile in inventory
    )


def _in_blocks(start: int, length: int) -> int:
    """Pixels of the whole blocks that [start, start + length) of a tile touches, along one axis."""
    stop = -(-(start + length) // BLOCK_PIXELS) * BLOCK_PIXELS
    return min(stop, TILE_PIXELS) - start // BLOCK_PIXELS * BLOCK_PIXELS
