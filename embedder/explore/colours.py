"""A picture of all embeddings: their first three principal components as red, green and blue, one pixel a chip."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from embedder.analysis.spectrum import Moments, principal_axes
from embedder.errors import UsageError
from embedder.explore.search import within
from embedder.explore.vectors.database import Database
from embedder.grid import NORTH, TILE_PIXELS, WEST, Bounds
from embedder.recipes import Recipe
from embedder.storage.base import os_errors_at

COMPONENTS = 3
FIT_ROWS = 100_000
"""Vectors, evenly spread, that the components are computed from: all of a region, one of eight of a continent."""
FIT_TOGETHER = 4_096
"""Of them at a time: 38 MB in double precision."""
STRETCH = (2, 98)
"""Percentiles of a component that are shown as 0 and 255; what lies beyond is cut off."""
OPAQUE = 255
LEAST_PIXELS = 256
"""Of a PNG's longer side: smaller ones are enlarged by a whole number."""
ENDINGS = (".tif", ".tiff", ".png")


@dataclass(frozen=True, kw_only=True)
class Colours:
    """A colour for each chip."""

    year: int
    recipe: Recipe
    chips: NDArray[np.int16]
    """(rows, 2): column and row."""
    colours: NDArray[np.uint8]
    """(rows, 3): red, green, blue."""
    explained: tuple[float, ...]
    """Of each component, its share of the variance."""
    fitted: int
    """Chips that the components were computed from."""

    def metadata(self) -> dict[str, Any]:
        """What goes with the picture."""
        facts = {"recipe": self.recipe.name, "year": self.year, "fitted_chips": self.fitted, "stretch_percentiles": STRETCH}
        return facts | {"explained_variance": [round(share, 6) for share in self.explained]}


def principal_colours(database: Database, bounds: Bounds | None = None) -> Colours:
    """The colours of a year's chips, or of those that touch a box, by the components of these alone; UsageError where there are none."""
    mask = database.live if bounds is None else database.live & within(database, bounds)
    rows = np.flatnonzero(mask)
    if not len(rows):
        raise UsageError(f"no chip of {database.year} is embedded {'in this box: choose a larger one' if bounds else 'yet'}")
    width = database.recipe.width
    sample = rows[:: -(-len(rows) // FIT_ROWS)]
    moments = Moments(count=0, total=np.zeros(width), products=np.zeros((width, width)))
    for first in range(0, len(sample), FIT_TOGETHER):
        moments += Moments.of(database.vectors(sample[first : first + FIT_TOGETHER]))
    axes, shares = principal_axes(moments, COMPONENTS)
    centre = axes @ (moments.total / moments.count)
    places = np.empty((database.rows, COMPONENTS), np.float32)
    for start, block in database.blocks(mask):
        for component, axis in enumerate(axes.astype(np.float32)):  # one by one, as in `analysis.classify`
            places[start : start + len(block), component] = block @ axis - centre[component]
    return Colours(
        year=database.year,
        recipe=database.recipe,
        chips=database.chips[mask],
        colours=stretched(places[mask]),
        explained=tuple(shares.tolist()),
        fitted=moments.count,
    )


def stretched(places: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Each column from its lower percentile to the upper one as 0 to 255; grey where it does not vary."""
    low, high = np.percentile(places, STRETCH, axis=0)
    span = np.where(high - low > np.finfo(np.float32).eps, high - low, np.inf)
    found: NDArray[np.uint8] = np.where(np.isfinite(span), np.clip((places - low) / span, 0, 1) * 255, 128).round().astype(np.uint8)
    return found


def check_picture(path: Path) -> None:
    """UsageError where no picture can have that name, or there is no folder for it."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"{path} is no name for a picture: end it with .tif or .png")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for {path.name}: make it, or give --to another one")


def write_picture(colours: Colours, path: Path, metadata: dict[str, Any]) -> None:
    """Write a GeoTIFF in EPSG:4326 or a PNG of the chips' rectangle, by the name's end; where there is no chip, it is transparent.

    `metadata` are said in the GeoTIFF's tags, beside what the colours are.
    """
    (left, top), (right, bottom) = colours.chips.min(axis=0).tolist(), colours.chips.max(axis=0).tolist()
    bands = np.zeros((COMPONENTS + 1, bottom - top + 1, right - left + 1), np.uint8)
    columns, rows = (colours.chips - [left, top]).T
    bands[:, rows, columns] = np.column_stack([colours.colours, np.full(len(rows), OPAQUE, np.uint8)]).T
    settings: dict[str, Any]
    if path.suffix.lower() == ".png":
        times = max(1, LEAST_PIXELS // max(bands.shape[1:]))
        bands = bands.repeat(times, axis=1).repeat(times, axis=2)
        settings = {"driver": "PNG"}
    else:
        degrees = colours.recipe.chip_pixels / TILE_PIXELS
        place = rasterio.Affine(degrees, 0, WEST + left * degrees, 0, -degrees, NORTH - top * degrees)
        settings = {"driver": "GTiff", "crs": "EPSG:4326", "transform": place, "compress": "deflate", "photometric": "RGB", "alpha": "YES"}
    with rasterio.MemoryFile() as memory:
        with memory.open(count=len(bands), height=bands.shape[1], width=bands.shape[2], dtype="uint8", **settings) as target:
            target.write(bands)
            if settings["driver"] == "GTiff":
                target.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
                target.descriptions = (*(f"principal component {number}" for number in range(1, COMPONENTS + 1)), "embedded")
                said = metadata | colours.metadata()
                target.update_tags(**{name.upper(): each if isinstance(each, str) else json.dumps(each) for name, each in said.items()})
        with os_errors_at(str(path)):
            path.write_bytes(memory.getbuffer())
