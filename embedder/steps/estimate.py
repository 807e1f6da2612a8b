"""What a run will read, compute and take, from the listing of the source alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedder.area import Area
from embedder.grid import BLOCK_PIXELS, BLOCKS_ACROSS, TILE_PIXELS, TILES_HIGH, TILES_WIDE
from embedder.recipes import BANDS, Recipe
from embedder.source.footprint import Corners, blocks_touched, corners_to_read, foreseen
from embedder.source.inventory import Inventory
from embedder.steps.embed import adjacent

POD_START_SECONDS = 40
"""From a pod's creation to its first chip, on a node that is there and has the image: assumed, not measured on one with a card."""
READ_MB_S = 310
"""10^6 bytes of pixels, whole blocks, that a step reads in a CPU second, batches and files too: docs/performance.md, "Feeding a device"."""
COMPARED = (1, 4, 8, 16)
"""Columns a pod."""
GUESS = "a guess from file sizes, as if a tile's blocks were equally large"
"""What the bytes are: of a tile that is mostly nodata, the blocks with pixels are larger."""


@dataclass(frozen=True, kw_only=True)
class Pod:
    """What one pod reads and computes: adjacent columns, read together as a strip."""

    chips: int
    """That touch tiles which exist: some of them may turn out to be nodata."""
    source_bytes: float
    """To be fetched, whole blocks and headers, were all blocks of a tile equally large."""
    pixel_bytes: int
    """Of the same blocks once they are decoded; those of nodata alone count too, as a listing does not tell them."""


@dataclass(frozen=True, kw_only=True)
class PodHours:
    """Of all pods together, hours."""

    start: float
    read: float
    compute: float | None
    """None where the rate is not known."""
    total: float
    """Less than the sum: a pod computes what it has read while it reads on. Without a rate: start and reading alone."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Of a run."""

    columns: int
    columns_with_tiles: int
    pods: tuple[Pod, ...]
    """Of the fan-out."""
    area: Area | None = None

    @property
    def chips(self) -> int:
        """Of all pods, at most."""
        return sum(pod.chips for pod in self.pods)

    @property
    def source_bytes(self) -> int:
        """To be fetched by all pods."""
        return round(sum(pod.source_bytes for pod in self.pods))

    def __str__(self) -> str:
        """Aligned lines for a person."""
        return "\n".join(
            (
                *([f"  area     {self.area.describe()}"] if self.area else ()),
                f"  columns  {self.columns}, {self.columns_with_tiles} of them with tiles",
                f"  chips    {self.chips} at most",
                f"  to read  about {_size(self.source_bytes)} of the source: {GUESS}",
            )
        )

    def hours(self, cpus: float, chips_per_second: float | None) -> PodHours:
        """Of the fan-out, where each pod decodes with so many CPUs and embeds at this rate.

        A pod takes its start, and then the longer of reading and computing, which go on at the same time.
        """
        reading = [pod.pixel_bytes / (READ_MB_S * 1e6 * cpus) for pod in self.pods]
        computing = [pod.chips / chips_per_second if chips_per_second else 0 for pod in self.pods]
        start = len(self.pods) * POD_START_SECONDS
        return PodHours(
            start=start / 3600,
            read=sum(reading) / 3600,
            compute=sum(computing) / 3600 if chips_per_second else None,
            total=(start + sum(map(max, reading, computing))) / 3600,
        )


def estimate(
    recipe: Recipe, inventory: Inventory, columns: Sequence[int], together: Iterable[int], area: Area | None = None
) -> dict[int, Estimate]:
    """By how many adjacent columns each pod reads. Of an area, the columns are among its own."""
    pixels = recipe.chip_pixels
    corners = {column: corners_to_read(foreseen(inventory, column, pixels, area), column, pixels) for column in columns}
    sizes = np.zeros((TILES_HIGH, TILES_WIDE))
    for tile, file in inventory.items():
        sizes[tile.row, tile.column] = file.size
    return {
        most: Estimate(
            columns=len(corners),
            columns_with_tiles=sum(map(bool, map(len, corners.values()))),
            pods=tuple(_pod(np.concatenate([corners[column] for column in shard]), pixels, sizes) for shard in adjacent(columns, most)),
            area=area,
        )
        for most in together
    }


def comparison(estimates: Mapping[int, Estimate], chosen: int, *, cpus: float, chips_per_second: float | None, price: float | None) -> str:
    """A table for a person, a line for each number of columns a pod, with `chosen` marked; below it the cheapest.

    `price` is money for an hour of a node, of which each pod has one to itself.
    """
    rate = f" and embed {chips_per_second:g} chips/s" if chips_per_second else ", computing left out (give --chips-per-second)"
    hours = {most: estimates[most].hours(cpus, chips_per_second) for most in sorted(estimates)}
    table = [("columns a pod", "pods", "to read", "start", "read", "compute", "pod-hours", *(["cost"] if price is not None else []))]
    for most, took in hours.items():
        parts = (took.start, took.read, took.compute, took.total, *([] if price is None else [took.total * price]))
        numbers = ("-" if part is None else f"{part:.2f}" for part in parts)
        mark = "* " if most == chosen else ""
        table.append((f"{mark}{most}", str(len(estimates[most].pods)), _size(estimates[most].source_bytes), *numbers))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    cheapest = min(hours, key=lambda most: (hours[most].total, most != chosen, most))
    advice = "as this run (*)" if cheapest == chosen else f"--columns-per-pod {cheapest}; this run (*) has {chosen}"
    head = f"hours of pods that decode with {cpus:g} CPUs{rate}:"
    return "\n".join((head, *lines, f"  cheapest: {cheapest} columns a pod, {advice}"))


def _pod(corners: Corners, chip_pixels: int, sizes: NDArray[np.float64]) -> Pod:
    """Of the chips that it reads; `sizes` is of the tiles, (row, column), bytes."""
    from embedder.source.tiles import HEADER_BYTES  # noqa: PLC0415 - imports rasterio

    ys, xs = blocks_touched(corners, chip_pixels)
    of_tile = sizes[ys // BLOCKS_ACROSS, xs // BLOCKS_ACROSS]
    edges = np.minimum((np.arange(BLOCKS_ACROSS) + 1) * BLOCK_PIXELS, TILE_PIXELS) - np.arange(BLOCKS_ACROSS) * BLOCK_PIXELS
    blocks = of_tile * edges[ys % BLOCKS_ACROSS] * edges[xs % BLOCKS_ACROSS] / TILE_PIXELS**2
    tiles = {(y, x): size for y, x, size in zip(ys // BLOCKS_ACROSS, xs // BLOCKS_ACROSS, of_tile, strict=True)}
    headers = sum(2 * min(HEADER_BYTES, size) for size in tiles.values())  # GDAL looks at it too
    return Pod(chips=len(corners), source_bytes=float(blocks.sum() + headers), pixel_bytes=len(blocks) * BLOCK_PIXELS**2 * len(BANDS) * 2)


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"  # noqa: PLR2004
