"""What is embedded, as one light GeoJSON feature: its outline, and the boxes of chips that fill it."""

from typing import Any

import numpy as np
import rasterio
import rasterio.features

from embedder.explore.vectors.database import Database
from embedder.grid import COLUMN_COUNT, COLUMN_PIXELS, HEIGHT_PIXELS, NORTH, TILE_PIXELS, WEST, Bounds, Chip


def coverage(database: Database) -> dict[str, Any]:
    """A FeatureCollection with one MultiPolygon, the outline, five decimals of a degree (a meter).

    Its property `boxes` has what fills it in chips of the grid: [left, top, right, bottom] each, the latter two not included.
    """
    pixels = database.recipe.chip_pixels
    cells = np.zeros((COLUMN_COUNT * COLUMN_PIXELS // pixels, HEIGHT_PIXELS // pixels + 1), np.int8)
    live = database.chips[database.live]
    cells[live[:, 0], live[:, 1]] = 1
    boxes, open_runs = list[tuple[int, int, int, int]](), dict[tuple[int, int], int]()  # a run of rows, and the column that it began in
    for column in range(len(cells) + 1):
        runs = set(_runs(cells[column])) if column < len(cells) else set()
        boxes += [(open_runs.pop(run), column, *run) for run in open_runs.keys() - runs]
        for run in runs:
            open_runs.setdefault(run, column)
    degrees = pixels / TILE_PIXELS
    to_degrees = rasterio.Affine(degrees, 0, WEST, 0, -degrees, NORTH)
    shapes = rasterio.features.shapes(cells.T.astype(np.uint8), mask=cells.T == 1, transform=to_degrees)
    polygons = [_rounded(shape["coordinates"]) for shape, _ in shapes]
    feature = {
        "type": "Feature",
        "geometry": {"type": "MultiPolygon", "coordinates": polygons},
        "properties": {"year": database.year, "chips": database.count, "boxes": [_box(*box) for box in sorted(boxes)]},
    }
    return {"type": "FeatureCollection", "features": [feature]}


def bounds(database: Database) -> Bounds | None:
    """The box around everything that is embedded."""
    live = database.chips[database.live]
    if not len(live):
        return None
    (west, north), (east, south) = live.min(axis=0).tolist(), live.max(axis=0).tolist()
    first = Chip(column=west, row=north, pixels=database.recipe.chip_pixels).bounds
    last = Chip(column=east, row=south, pixels=database.recipe.chip_pixels).bounds
    return Bounds(west=first.west, south=last.south, east=last.east, north=first.north)


def _runs(cells: Any) -> list[tuple[int, int]]:  # noqa: ANN401 - a row of an array
    """[first, after the last) of each run of ones; the last cell is always 0."""
    edges = np.flatnonzero(np.diff(cells, prepend=np.int8(0)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _box(left: int, right: int, top: int, bottom: int) -> list[int]:
    return [left, top, right, bottom]


def _rounded(rings: list[list[tuple[float, float]]]) -> list[list[list[float]]]:
    return [[[round(lon, 5), round(lat, 5)] for lon, lat in ring] for ring in rings]
