"""What is embedded, as one light GeoJSON feature: runs of chips, joined across columns where they are alike."""

from typing import Any

import numpy as np

from embedder.explore.vectors.database import Database
from embedder.grid import COLUMN_COUNT, COLUMN_PIXELS, HEIGHT_PIXELS, Bounds, Chip


def coverage(database: Database) -> dict[str, Any]:
    """A FeatureCollection with one MultiPolygon of boxes, five decimals of a degree (a meter)."""
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
    polygons = [_ring(*box, pixels) for box in sorted(boxes)]
    feature = {
        "type": "Feature",
        "geometry": {"type": "MultiPolygon", "coordinates": polygons},
        "properties": {"year": database.year, "chips": database.count},
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


def _ring(left: int, right: int, top: int, bottom: int, pixels: int) -> list[list[list[float]]]:
    first, last = Chip(column=left, row=top, pixels=pixels).bounds, Chip(column=right, row=bottom, pixels=pixels).bounds
    west, north, east, south = (round(value, 5) for value in (first.west, first.north, last.west, last.north))
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]
