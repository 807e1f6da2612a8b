"""An area of interest as people give it: a box, a packed text, or a file with polygons, read with GeoPandas."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedder.area import EDGE_PIXELS, GRID_TEXT, PACKED, Area, chips_across, parse_box
from embedder.errors import ConfigurationError, UsageError, require_extra
from embedder.grid import NORTH, TILE_PIXELS, WEST, Bounds

if TYPE_CHECKING:
    from geopandas import GeoSeries

READERS = {".parquet": "read_parquet", ".geoparquet": "read_parquet", ".feather": "read_feather"}
"""GeoPandas' own, by a file's ending; all else is GDAL's."""
LONGEST_PART = 256
"""Into so many parts an edge as long as the whole area is cut before it is projected: a straight line there is none in degrees."""


def area_of(bbox: str | None, area: str | None, chip_pixels: int) -> Area | None:
    """What `--bbox` and `--area` ask for; UsageError where they can't be meant, as both together, ConfigurationError of a file."""
    if bbox is not None and area is not None:
        raise UsageError("--bbox and --area (or BBOX and AREA) are both given: give one of them")
    if bbox is not None:
        try:
            return Area.of_box(parse_box(bbox), chip_pixels)
        except ValueError as error:
            raise UsageError(f"box {bbox!r}: {error}") from error
    if area is None:
        return None
    if not area:  # a script's unset variable must not mean the continent
        raise UsageError("--area is empty: give a file, or leave it out")
    if not PACKED.fullmatch(area):
        return read_area(area, chip_pixels)
    try:
        packed = Area.parse(area)
    except ValueError as error:
        raise UsageError(f"--area: {error}") from error
    if packed.chip_pixels != chip_pixels:
        raise UsageError(f"--area has chips of {packed.chip_pixels} pixels, this recipe has {chip_pixels}: make it anew from the file")
    return packed


def read_area(path: str | Path, chip_pixels: int) -> Area:
    """The chips that a file's polygons overlap with more than an edge, whatever its CRS; invalid ones are mended.

    Raises UsageError where there is no such file, or it lies off the grid; ConfigurationError where it is no file of polygons with a
    CRS, or GeoPandas is not installed.
    """
    if "://" not in str(path) and not Path(path).exists():
        raise UsageError(f"there is no file {path}: --area takes a file that GeoPandas reads, such as GeoJSON, or an area's packed text")
    require_extra("notebook", "geopandas")
    polygons = _polygons(str(path))
    try:
        return Area.of_chips(_chips(polygons, chip_pixels), chip_pixels)
    except ValueError as error:
        west, south, east, north = polygons.total_bounds
        seen = f"it lies within {west:.5g},{south:.5g},{east:.5g},{north:.5g}, and {GRID_TEXT}"
        raise UsageError(f"area {path}: {error}{'' if 'packs into' in str(error) else f': {seen}'}") from error


def _polygons(path: str) -> "GeoSeries":
    """Of a file, in degrees, all valid."""
    found = _read(path).geometry
    if found.crs is None:
        raise ConfigurationError(f"area {path} has no CRS: say it in the file, as ogr2ogr -a_srs EPSG:4326 does")
    found = found[found.notna() & ~found.is_empty]
    if found.empty:
        raise ConfigurationError(f"area {path} is empty: it holds no geometry")
    if not (kinds := set(found.geom_type)) <= {"Polygon", "MultiPolygon"}:
        named = ", ".join(sorted(kinds - {"Polygon", "MultiPolygon"}))
        raise ConfigurationError(f"area {path} holds {named}: an area is made of polygons: leave them out, or buffer them first")
    found = found.force_2d().make_valid(method="structure", keep_collapsed=False)
    found = found[~found.is_empty]
    if found.empty:
        raise ConfigurationError(f"area {path} is empty: its polygons have no area")
    if found.crs.is_geographic:
        found = found.to_crs("EPSG:4326")
    else:
        west, south, east, north = found.total_bounds
        found = found.segmentize(max(east - west, north - south) / LONGEST_PART).to_crs("EPSG:4326")
    bounds = found.total_bounds
    if not all(map(float("inf").__gt__, map(abs, bounds))):
        raise ConfigurationError(f"area {path} is not where its CRS, {found.crs.name}, has places: look at its coordinates")
    return found.make_valid(method="structure", keep_collapsed=False)  # a ring may cross itself once it is projected


def _read(path: str) -> Any:  # noqa: ANN401 - a GeoDataFrame
    import geopandas  # noqa: PLC0415 - an extra, and slow to import

    reader = READERS.get(Path(path).suffix.lower())
    try:
        layers = [] if reader else list(geopandas.list_layers(path)["name"])
        found = getattr(geopandas, reader or "read_file")(path, **({"layer": layers[0]} if layers else {}))
    except Exception as error:  # the readers of many formats, each with its own
        raise ConfigurationError(f"area {path} can't be read by GeoPandas ({error!s:.200}): give it as GeoJSON or GeoPackage") from error
    if len(layers) > 1:
        raise ConfigurationError(f"area {path} has several layers, {', '.join(map(str, layers))}: write one to a file of its own")
    return found


def _chips(polygons: "GeoSeries", chip_pixels: int) -> dict[int, set[int]]:
    """Rows by column of chips."""
    import numpy as np  # noqa: PLC0415 - with shapely alone
    import shapely  # noqa: PLC0415

    step, edge = chip_pixels / TILE_PIXELS, EDGE_PIXELS / TILE_PIXELS
    chips: dict[int, set[int]] = {}
    for polygon in polygons:
        west, south, east, north = polygon.bounds
        columns, rows = chips_across(Bounds(west=west, south=south, east=east, north=north), chip_pixels)
        if not (columns and rows):
            continue
        shapely.prepare(polygon)
        tops = NORTH - np.arange(rows.start, rows.stop) * step
        for column in columns:
            left = WEST + column * step
            # Smaller by an edge's width: what only touches a chip does not reach into it.
            boxes = shapely.box(left + edge, tops - step + edge, left + step - edge, tops - edge)
            inside = np.flatnonzero(shapely.intersects(polygon, boxes)) + rows.start
            if len(inside):
                chips.setdefault(column, set()).update(inside.tolist())
    return chips
