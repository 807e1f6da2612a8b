"""Chips as GeoPandas has them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedder.errors import require_extra
from embedder.explore.search import within
from embedder.explore.vectors.database import Database
from embedder.grid import NORTH, TILE_PIXELS, WEST, Bounds

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def rows_within(database: Database, bounds: Bounds | None) -> NDArray[np.int64]:
    """The rows of the chips that touch a box, of all without one: from west to east, then from north to south."""
    _, rows = database.sorted_keys()
    return rows if bounds is None else rows[within(database, bounds)[rows]]


def frame(database: Database, rows: Sequence[int] | NDArray[np.int64], **columns: Any) -> "GeoDataFrame":  # noqa: ANN401 - whatever a frame holds
    """A GeoDataFrame of these rows of the database, in their order, with these columns between what they are and where.

    ConfigurationError where GeoPandas is not installed.
    """
    require_extra("notebook", "geopandas")
    import geopandas  # noqa: PLC0415 - an extra, and slow to import
    import shapely  # noqa: PLC0415

    chips = database.chips[np.asarray(rows, np.int64)].astype(np.int64)  # (n, 2)
    degrees = database.recipe.chip_pixels / TILE_PIXELS
    west, north = WEST + chips[:, 0] * degrees, NORTH - chips[:, 1] * degrees
    content = {
        "chip_id": [f"c{column:04d}r{row:04d}" for column, row in chips.tolist()],
        "year": np.full(len(chips), database.year),
        **columns,
        "longitude": west + degrees / 2,
        "latitude": north - degrees / 2,
    }
    return geopandas.GeoDataFrame(content, geometry=shapely.box(west, north - degrees, west + degrees, north), crs="EPSG:4326")
