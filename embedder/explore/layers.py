"""A value or more for every chip, as people's tools take it: GeoParquet, CSV, or a GeoTIFF with a pixel a chip."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from embedder.errors import UsageError
from embedder.grid import NORTH, TILE_PIXELS, WEST
from embedder.output.chip_ids import Chips
from embedder.output.column_file import geo_metadata, polygons
from embedder.recipes import Recipe
from embedder.storage.base import os_errors_at

Values = NDArray[Any]
MOST_CLASSES = 250
"""Of a field; a byte holds them, and nodata."""
NO_CLASS = 255
"""Nodata of a GeoTIFF with classes, whose bands are all bytes."""
PERCENT = 0.01
"""Scale of a share, 0 to 1, beside classes: its bytes are percents."""
EARTH_KM = 6371.0072
"""Radius of the sphere whose surface is that of WGS 84's ellipsoid (authalic): areas differ by less than 0.5 %."""
PALETTE = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf", "#7f7f7f")
"""Of classes, in their order; a longer list begins again."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One or more values for each of some chips of one year."""

    year: int
    recipe: Recipe
    chips: Chips
    """(n, 2): column, row."""
    fields: dict[str, Values]
    """(n,) each: float32, or integer codes."""
    classes: dict[str, list[str]] = field(default_factory=dict)
    """Of a field of codes, from 0 on: what each is called."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What goes with it: the question, and what to know before believing any of it."""

    def where(self, mask: NDArray[np.bool_]) -> "Layer":
        """Those of its chips."""
        fields = {name: values[mask] for name, values in self.fields.items()}
        return Layer(
            year=self.year, recipe=self.recipe, chips=self.chips[mask], fields=fields, classes=self.classes, metadata=self.metadata
        )


def chip_km2(rows: NDArray[np.integer], pixels: int) -> NDArray[np.float64]:
    """The ground that a chip of so many pixels covers in each row, km2, on a sphere."""
    side = pixels / TILE_PIXELS
    north = NORTH - rows.astype(np.float64) * side
    areas: NDArray[np.float64] = EARTH_KM**2 * np.deg2rad(side) * (np.sin(np.deg2rad(north)) - np.sin(np.deg2rad(north - side)))
    return areas


def check_layer_file(path: Path) -> None:
    """UsageError where no layer can have that name, or there is no folder for it."""
    if path.suffix.lower() not in _WRITERS:
        raise UsageError(f"{path} is no name for a file of every chip: end it with {', '.join(_WRITERS)}")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for {path.name}: make it, or give --to another one")


def write_layer(layer: Layer, path: Path) -> None:
    """Write a .parquet (GeoParquet, a box a chip), .csv or .tif file, whole or not at all; its ending says which.

    The GeoTIFF has a pixel a chip and a band a field, EPSG:4326. Floats are float32 with NaN where there is no chip. With classes all bands
    are bytes, 255 where there is no chip, and shares are percents with a scale of 0.01; names and colours of the classes are in the
    `.aux.xml` beside it, where GDAL looks for them. UsageError where the name ends otherwise, or there are too many classes.
    """
    check_layer_file(path)
    draft = path.with_name(f".{path.stem}-{uuid4().hex[:8]}{path.suffix}")
    beside = path.with_name(f"{path.name}.aux.xml")
    with os_errors_at(str(path)):
        try:
            _WRITERS[path.suffix.lower()](layer, draft)
            beside.unlink(missing_ok=True)  # of a file that was here before
            if layer.classes and path.suffix.lower() in {".tif", ".tiff"}:
                beside.write_bytes(_names_of_classes(layer))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def _ids(layer: Layer) -> pa.Array:
    digits = [np.char.zfill(part.astype("U4"), 4) for part in layer.chips.T] if len(layer.chips) else [np.empty(0, "U4")] * 2
    return pa.array(np.char.add(np.char.add("c", digits[0]), np.char.add("r", digits[1])), pa.string())


def _bounds(layer: Layer) -> NDArray[np.float64]:
    """(n, 4): west, south, east, north."""
    pixels = layer.chips.astype(np.float64) * layer.recipe.chip_pixels
    side = layer.recipe.chip_pixels
    west, north = WEST + pixels[:, 0] / TILE_PIXELS, NORTH - pixels[:, 1] / TILE_PIXELS
    return np.column_stack([west, NORTH - (pixels[:, 1] + side) / TILE_PIXELS, WEST + (pixels[:, 0] + side) / TILE_PIXELS, north])


def _columns(layer: Layer) -> dict[str, pa.Array]:
    columns = {"chip_id": _ids(layer), "year": pa.array(np.full(len(layer.chips), layer.year, np.int32))}
    for name, values in layer.fields.items():
        if name in layer.classes:
            names = pa.array(layer.classes[name], pa.string())
            columns[name] = pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int32)), names).cast(pa.string())
        else:
            columns[name] = pa.array(values)
    return columns


def _write_parquet(layer: Layer, path: Path) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415

    bounds = _bounds(layer)
    geo = geo_metadata([])
    del geo["columns"]["geometry"]["covering"]
    if len(bounds):
        geo["columns"]["geometry"]["bbox"] = [*bounds[:, :2].min(axis=0), *bounds[:, 2:].max(axis=0)]
    table = pa.table(_columns(layer) | {"geometry": pa.array(polygons(bounds), pa.binary())})
    notes = {b"geo": json.dumps(geo).encode(), b"layer": json.dumps(layer.metadata).encode()}
    pq.write_table(table.replace_schema_metadata(notes), path, compression="zstd")


def _write_csv(layer: Layer, path: Path) -> None:
    from pyarrow import csv  # noqa: PLC0415

    bounds = _bounds(layer)
    places = {"longitude": (bounds[:, 0] + bounds[:, 2]) / 2, "latitude": (bounds[:, 1] + bounds[:, 3]) / 2}
    table = pa.table(_columns(layer) | {name: pa.array(np.round(values, 7)) for name, values in places.items()})
    csv.write_csv(table, path)


def _write_tiff(layer: Layer, path: Path) -> None:
    import rasterio  # noqa: PLC0415
    from rasterio.transform import from_origin  # noqa: PLC0415

    if not len(layer.chips):
        raise UsageError("there is no chip for a GeoTIFF: ask for more, or write a .parquet or .csv file")
    side = layer.recipe.chip_pixels / TILE_PIXELS
    (west, north), (east, south) = layer.chips.min(axis=0).tolist(), layer.chips.max(axis=0).tolist()
    height, width = south - north + 1, east - west + 1
    at = layer.chips[:, 1].astype(np.int64) - north, layer.chips[:, 0].astype(np.int64) - west
    nodata, dtype = (NO_CLASS, "uint8") if layer.classes else (np.nan, "float32")
    profile = {"driver": "GTiff", "width": width, "height": height, "count": len(layer.fields), "dtype": dtype, "nodata": nodata}
    place = {"crs": "EPSG:4326", "transform": from_origin(WEST + west * side, NORTH - north * side, side, side)}
    layout = {"compress": "deflate", "predictor": 2 if layer.classes else 3, "tiled": True, "blockxsize": 256, "blockysize": 256}
    with rasterio.open(path, "w", **profile, **place, **layout) as tiff:
        for band, (name, values) in enumerate(layer.fields.items(), 1):
            is_share = bool(layer.classes) and name not in layer.classes
            stored = np.round(values / PERCENT) if is_share else values
            picture = np.full((height, width), nodata, dtype)
            picture[at] = stored
            tiff.write(picture, band)
            tiff.set_band_description(band, name)
            tiff.update_tags(band, **_statistics(picture[at].astype(np.float64), picture.size))
            if is_share:
                tiff.scales = tuple(PERCENT if index == band else scale for index, scale in enumerate(tiff.scales, 1))
                tiff.set_band_unit(band, "%")
        said = {"year": layer.year, "recipe": layer.recipe.name} | layer.metadata
        tiff.update_tags(**{name.upper(): each if isinstance(each, str) else json.dumps(each) for name, each in said.items()})


def _statistics(values: NDArray[np.float64], pixels: int) -> dict[str, str]:
    """As GDAL keeps them."""
    found = {"MINIMUM": values.min(), "MAXIMUM": values.max(), "MEAN": values.mean(), "STDDEV": values.std()}
    return {f"STATISTICS_{name}": f"{value:.9g}" for name, value in found.items()} | {
        "STATISTICS_VALID_PERCENT": f"{100 * len(values) / pixels:.4g}"
    }


def _names_of_classes(layer: Layer) -> bytes:
    """The names and colours of each band's classes, as GDAL's Persistent Auxiliary Metadata has them."""
    root = ET.Element("PAMDataset")
    for band, name in enumerate(layer.fields, 1):
        if name not in layer.classes:
            continue
        about = ET.SubElement(root, "PAMRasterBand", band=str(band))
        names = ET.SubElement(about, "CategoryNames")
        for each in layer.classes[name]:
            ET.SubElement(names, "Category").text = each
        ET.SubElement(about, "ColorInterp").text = "Palette"
        table = ET.SubElement(about, "ColorTable")
        for red, green, blue in colours_of(len(layer.classes[name])):
            ET.SubElement(table, "Entry", c1=str(red), c2=str(green), c3=str(blue), c4="255")
    return ET.tostring(root)


def colours_of(count: int) -> Sequence[tuple[int, int, int]]:
    """A colour, red, green, blue, for each of so many classes; UsageError for too many."""
    if count > MOST_CLASSES:
        raise UsageError(f"{count} classes are too many for a picture: {MOST_CLASSES} are the most")
    rgb = [tuple(bytes.fromhex(colour[1:])) for colour in PALETTE]
    return [rgb[index % len(rgb)] for index in range(count)]  # type: ignore[misc]


_WRITERS: dict[str, Callable[[Layer, Path], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".tif": _write_tiff,
    ".tiff": _write_tiff,
}
