"""Chips as GeoPandas has them."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedder.errors import require_extra
from embedder.explore.layers import Layer
from embedder.explore.search import within
from embedder.explore.vectors.database import Database
from embedder.grid import NORTH, TILE_PIXELS, WEST, Bounds

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def rows_within(database: Database, bounds: Bounds | None) -> NDArray[np.int64]:
    """The rows of the chips that touch a box, of all without one: from west to east, then from north to south."""
    _, rows = database.sorted_keys()
    return rows if bounds is None else rows[within(database, bounds)[rows]]


def frame(chips: NDArray[np.integer[Any]], pixels: int, year: int, **columns: Any) -> "GeoDataFrame":  # noqa: ANN401 - whatever a frame holds
    """A GeoDataFrame of chips, (n, 2: column, row) of so many pixels, with these columns between what they are and where.

    ConfigurationError where GeoPandas is not installed.
    """
    require_extra("notebook", "geopandas")
    import geopandas  # noqa: PLC0415 - an extra, and slow to import
    import shapely  # noqa: PLC0415

    degrees, places = pixels / TILE_PIXELS, chips.astype(np.int64)
    west, north = WEST + places[:, 0] * degrees, NORTH - places[:, 1] * degrees
    content = {
        "chip_id": [f"c{column:04d}r{row:04d}" for column, row in places.tolist()],
        "year": np.full(len(places), year),
        **columns,
        "longitude": west + degrees / 2,
        "latitude": north - degrees / 2,
    }
    return geopandas.GeoDataFrame(content, geometry=shapely.box(west, north - degrees, west + degrees, north), crs="EPSG:4326")


def layer_frame(layer: Layer) -> "GeoDataFrame":
    """A GeoDataFrame of a layer, from west to east, then from north to south: classes by their names, and in `attrs` what it is."""
    order = np.lexsort(layer.chips.T[::-1])
    columns: dict[str, Any] = {name: values[order] for name, values in layer.fields.items()}
    for name, classes in layer.classes.items():
        columns[name] = np.array(classes, object)[columns[name]]
    made = frame(layer.chips[order], layer.recipe.chip_pixels, layer.year, **columns)
    made.attrs = layer.metadata
    return made
