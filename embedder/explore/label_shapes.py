"""Points and polygons with a class each, as files hold them, and the chips that they mean."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from embedder.errors import ConfigurationError, UsageError, require_extra
from embedder.explore.places import GRID
from embedder.grid import NORTH, TILE_PIXELS, WEST
from embedder.storage.base import os_errors_at

ENDINGS = (".geojson", ".json", ".gpkg", ".parquet", ".csv")
PLACES = (("lon", "lat"), ("longitude", "latitude"))
"""The columns of a CSV file that say where."""

Cells = NDArray[np.int64]
"""(rows, 2): column and row, counted in chips."""


def check_file(path: Path) -> None:
    """UsageError where labels have no such file names; ConfigurationError where what reads the file is not installed."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"{path} is no name of a file of labels: it ends with {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    if path.suffix.lower() != ".csv":
        require_extra("classify", "geopandas")


def read_shapes(path: Path, column: str) -> tuple[list[str], list[Any]]:
    """As `shapes_of`, from a file; ConfigurationError where it can't be read, or has no such column."""
    with os_errors_at(str(path)):
        path.open("rb").close()  # its own reason, where it can't be read
    return _from_csv(path, column) if path.suffix.lower() == ".csv" else shapes_of(_table(path), column, str(path))


def shapes_of(table: Any, column: str, place: str) -> tuple[list[str], list[Any]]:  # noqa: ANN401 - GeoPandas has no types
    """The classes, "" where there is none, and the shapes, longitude and latitude, of a GeoDataFrame; `place` is where it is from."""
    if not len(table):
        return [], []
    _check_columns(list(table), [column], place)
    shapes = getattr(table, "geometry", None)
    if shapes is None:
        raise ConfigurationError(f"{place} has no geometry: labels are points or polygons")
    try:
        lonlat = shapes if shapes.crs is None else shapes.to_crs("EPSG:4326")
    except (RuntimeError, ValueError) as error:  # pyproj's
        raise ConfigurationError(f"the CRS of {place} leads to no longitude and latitude: {error}: convert it to EPSG:4326") from error
    names = ["" if blank else _name(value) for value, blank in zip(table[column], table[column].isna(), strict=True)]
    return names, list(lonlat)


def cells_in(shape: Any, pixels: int) -> Cells:  # noqa: ANN401 - Shapely has no types
    """The chips of the grid that a shape in degrees labels, none where it lies off the grid."""
    if not np.isfinite(shapely.get_coordinates(shape)).all():  # another CRS's, so far away that there is no place for it
        return np.empty((0, 2), np.int64)
    if shape.geom_type.endswith("Point"):
        return _cells_of(shapely.get_coordinates(shape), pixels)
    if not shape.is_valid:  # crosses itself
        shape = shapely.make_valid(shape)
    clipped = shapely.clip_by_rect(shape, GRID.west, GRID.south, GRID.east, GRID.north)
    if clipped.is_empty:
        return np.empty((0, 2), np.int64)
    west, south, east, north = clipped.bounds
    (left, right), (top, bottom) = (
        np.floor((np.array(pair) - edge) * sign * TILE_PIXELS / pixels).astype(int)
        for pair, edge, sign in (((west, east), WEST, 1), ((north, south), NORTH, -1))
    )
    cells = np.stack(np.meshgrid(np.arange(left, right + 1), np.arange(top, bottom + 1), indexing="ij"), axis=-1).reshape(-1, 2)
    middles = (cells + 0.5) * pixels / TILE_PIXELS * [1, -1] + [WEST, NORTH]
    shapely.prepare(clipped)
    inside: Cells = cells[shapely.contains_xy(clipped, middles)]
    if not len(inside):
        inside = _cells_of(shapely.get_coordinates(shapely.point_on_surface(clipped)), pixels)
    return inside


def _table(path: Path) -> Any:  # noqa: ANN401 - GeoPandas has no types
    import geopandas  # noqa: PLC0415 - an extra, and slow to import

    try:
        return geopandas.read_parquet(path) if path.suffix.lower() == ".parquet" else geopandas.read_file(path)
    except (RuntimeError, ValueError) as error:  # pyogrio's and pyarrow's
        raise ConfigurationError(f"{path} can't be read as labels: {error}: is it what its name says?") from error


def _from_csv(path: Path, column: str) -> tuple[list[str], list[shapely.Point]]:
    names, shapes = [], []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # as spreadsheets write it
            rows = csv.DictReader(file)
            found = rows.fieldnames or []
            lon, lat = next((pair for pair in PLACES if {*pair} <= {*found}), PLACES[0])
            if found:
                _check_columns(found, [column, lon, lat], str(path))
            for row in rows:
                names.append((row[column] or "").strip())
                place = float(row[lon]), float(row[lat])
                if not np.isfinite(place).all():
                    raise ValueError(f"{place} is no place")  # noqa: TRY301 - one line says all that can be wrong
                shapes.append(shapely.Point(place))
    except (ValueError, TypeError, csv.Error) as error:
        raise ConfigurationError(f"{path} can't be read as labels, label {len(names)}: {error}: write lon,lat,{column} as text") from error
    return names, shapes


def _check_columns(found: Sequence[str], wanted: Sequence[str], place: str) -> None:
    if missing := [name for name in wanted if name not in found]:
        raise ConfigurationError(
            f"{place} has no column {' or '.join(missing)}: it has {', '.join(map(str, found[:20]))}: name the one with the classes"
        )


def _name(value: object) -> str:
    """As a person writes it: whole numbers that a table holds as 10.0 are 10."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def _cells_of(places: NDArray[np.float64], pixels: int) -> Cells:
    """The chips that hold places (rows, 2), longitude and latitude, as `places.chip_at` says them; without those off the grid."""
    lon, lat = places.T
    on_grid = (GRID.west <= lon) & (lon < GRID.east) & (GRID.south < lat) & (lat <= GRID.north)
    found: Cells = ((places[on_grid] - [WEST, NORTH]) * [1, -1] * TILE_PIXELS // pixels).astype(np.int64)
    return found
