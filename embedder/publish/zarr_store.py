"""A year as a Zarr v3 store: (time, embedding, y, x) on the grid, NaN where nothing is embedded, and the outcomes beside it.

Strips as wide as a cell are made one by one, in memory; the store's own metadata come last, so that nobody opens half a store.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from rasterio.crs import CRS
from zarr.codecs import BloscCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from embedder.grid import COLUMN_COUNT, COLUMN_PIXELS, HEIGHT_PIXELS, NORTH, TILE_PIXELS, WEST
from embedder.output.chip_ids import chips_of_ids
from embedder.output.column_file import OUTCOMES
from embedder.publish.geoparquet import vectors_of
from embedder.publish.layout import CELL_CHIPS, columns_in_cell
from embedder.publish.source import Column
from embedder.recipes import Recipe

EMBEDDINGS, OUTCOME = "embeddings", "outcome"
LETTERS = "".join(OUTCOMES)
"""The outcome of a letter is its place here, from 1: 0 is of what no run has looked at."""
MEANINGS = ["not_looked_at", *(name.replace(" ", "_") for name in (OUTCOMES | {"o": "outside the area"}).values())]
Objects = dict[str, bytes]
"""By key, below the store."""


def shape(recipe: Recipe) -> tuple[int, int]:
    """Chips of the grid, (y, x)."""
    return HEIGHT_PIXELS // recipe.chip_pixels, COLUMN_COUNT * COLUMN_PIXELS // recipe.chip_pixels


def strips(columns: Iterable[int], chip_pixels: int) -> dict[int, list[int]]:
    """The columns of each strip, by its number from the west."""
    wide = columns_in_cell(chip_pixels)
    found: dict[int, list[int]] = {}
    for column in sorted(columns):
        found.setdefault(column // wide, []).append(column)
    return found


def keys_of(strip: int) -> tuple[str, str]:
    """The strip's two objects: embeddings, outcomes."""
    return f"{EMBEDDINGS}/c/0/0/0/{strip}", f"{OUTCOME}/c/0/0/{strip}"


def strip_objects(columns: Sequence[Column], strip: int, recipe: Recipe) -> Objects:
    """The objects of a strip, from all of its columns that there are. Without embeddings there is one alone."""
    rows, width = shape(recipe)
    across = COLUMN_PIXELS // recipe.chip_pixels
    west = strip * CELL_CHIPS
    east = min(west + CELL_CHIPS, width)
    vectors = np.full((recipe.width, rows, east - west), np.nan, np.float32)
    outcomes = np.zeros((rows, east - west), np.uint8)
    for column in columns:
        letters = np.array([LETTERS.index(letter) + 1 for letter in column.footer["outcomes"]], np.uint8)
        first = column.number * across - west
        outcomes[:, first : first + across] = letters.reshape(rows, across)
        chips = chips_of_ids(column.table["chip_id"])
        if len(chips):
            vectors[:, chips[:, 1], chips[:, 0] - west] = vectors_of(column.table).T
    made: dict[str, Any] = {}
    arrays = _arrays(MemoryStore(made), recipe)
    arrays[EMBEDDINGS][0, :, :, west:east] = vectors
    arrays[OUTCOME][0, :, west:east] = outcomes
    return {key: made[key].to_bytes() for key in keys_of(strip) if key in made}


def metadata_objects(recipe: Recipe, year: int, attributes: dict[str, Any]) -> Objects:
    """All else: what the arrays are, the coordinates, the place on the ground."""
    made: dict[str, Any] = {}
    store = MemoryStore(made)
    arrays = _arrays(store, recipe)
    group = zarr.open_group(store, mode="r+")
    step = recipe.chip_pixels / TILE_PIXELS
    rows, width = shape(recipe)
    # The middles of the chips, as raster readers want them.
    middles = {"y": NORTH - (np.arange(rows) + 0.5) * step, "x": WEST + (np.arange(width) + 0.5) * step}
    names = {"y": ("latitude", "degrees_north"), "x": ("longitude", "degrees_east")}
    for name, values in middles.items():
        about = {"standard_name": names[name][0], "units": names[name][1], "axis": name.upper()}
        _coordinate(group, name, values, about)
    since = np.array([(np.datetime64(f"{year}-07-02") - np.datetime64("1970-01-01")).astype(int)], np.int64)
    _coordinate(group, "time", since, {"standard_name": "time", "units": "days since 1970-01-01", "calendar": "standard"})
    _coordinate(group, "embedding", np.arange(recipe.width, dtype=np.int32), {"long_name": "dimension of the embedding"})
    wkt = CRS.from_epsg(4326).to_wkt()
    place = {"crs_wkt": wkt, "spatial_ref": wkt, "grid_mapping_name": "latitude_longitude"}
    place["GeoTransform"] = f"{WEST} {step!r} 0 {NORTH} 0 {-step!r}"
    group.create_array("spatial_ref", shape=(), dtype=np.int64, attributes=place, dimension_names=[])[...] = 0
    arrays[EMBEDDINGS].attrs.update({"grid_mapping": "spatial_ref", "long_name": f"embeddings by {recipe.model}"})
    flags = list(range(len(MEANINGS)))
    arrays[OUTCOME].attrs.update({"grid_mapping": "spatial_ref", "flag_values": flags, "flag_meanings": " ".join(MEANINGS)})
    group.attrs.update(
        {
            "proj:code": "EPSG:4326",
            "spatial:dimensions": ["y", "x"],
            "spatial:transform": [step, 0, WEST, 0, -step, NORTH],
            "spatial:shape": [rows, width],
            "spatial:bbox": [WEST, NORTH - rows * step, WEST + width * step, NORTH],
        }
        | attributes
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that these are not in Zarr's specification: without them nobody opens a store over HTTP
        zarr.consolidate_metadata(store)
    return {key: value.to_bytes() for key, value in sorted(made.items(), key=lambda each: (each[0] == "zarr.json", each[0]))}


def read_strip(objects: Objects, strip: int, recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Embeddings, (embedding, y, x), and outcomes, (y, x), of a strip, from its objects alone. ValueError where they are damaged."""
    made: dict[str, Any] = {}
    arrays = _arrays(MemoryStore(made), recipe)
    buffer = default_buffer_prototype().buffer
    made |= {key: buffer.from_bytes(data) for key, data in objects.items()}
    west = strip * CELL_CHIPS
    columns = slice(west, min(west + CELL_CHIPS, shape(recipe)[1]))
    return np.asarray(arrays[EMBEDDINGS][0, :, :, columns]), np.asarray(arrays[OUTCOME][0, :, columns])


def is_of_a_strip(key: str) -> bool:
    """Whether an object is one of the many that a strip has."""
    return key.startswith((f"{EMBEDDINGS}/c/", f"{OUTCOME}/c/"))


def strip_fault(vectors: NDArray[np.float32], outcomes: NDArray[np.uint8], rows: int) -> str | None:
    """What is wrong with a strip that is to have so many embeddings; None where nothing is."""
    embedded = outcomes == LETTERS.index("e") + 1
    if embedded.sum() != rows:
        return f"its outcomes say {embedded.sum()} embedded chips, not {rows}"
    if not np.isfinite(vectors[:, embedded]).all():
        return "NaN or infinite vector of an embedded chip"
    if not vectors[:, embedded].any(axis=0).all():
        return "zero vector of an embedded chip"
    if not np.isnan(vectors[:, ~embedded]).all():
        return "a vector where the outcomes say that there is none"
    return None


def store_fault(objects: Objects, recipe: Recipe, year: int) -> str | None:
    """What is wrong with all else of a store: arrays of another form, a grid that is not this one; None where nothing is."""
    try:
        found = _opened(objects)
        wanted = _opened(metadata_objects(recipe, year, {}))
        for name in (EMBEDDINGS, OUTCOME):
            forms = [{**each[name].metadata.to_dict(), "attributes": None} for each in (found, wanted)]
            if repr(forms[0]) != repr(forms[1]):
                return f"its array {name} is of another form"
        for name in ("x", "y", "time", "embedding"):
            if found[name].shape != wanted[name].shape or not np.allclose(found[name][:], wanted[name][:], rtol=0, atol=1e-9):
                return f"off the grid: its {name} is not the grid's"
    except (ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        return f"no Zarr store: {' '.join(str(error).split())[:200]}"
    return None


def _opened(objects: Objects) -> Any:  # noqa: ANN401 - zarr's
    """A group of these objects."""
    buffer = default_buffer_prototype().buffer
    return zarr.open_group(MemoryStore({key: buffer.from_bytes(data) for key, data in objects.items()}, read_only=True), mode="r")


def _arrays(store: MemoryStore, recipe: Recipe) -> dict[str, Any]:
    """The two arrays of an empty store."""
    group = zarr.create_group(store)
    rows, width = shape(recipe)
    whole = -(-rows // CELL_CHIPS) * CELL_CHIPS
    vectors = group.create_array(
        EMBEDDINGS,
        shape=(1, recipe.width, rows, width),
        chunks=(1, recipe.width, CELL_CHIPS, CELL_CHIPS),
        shards=(1, recipe.width, whole, CELL_CHIPS),
        dtype=np.float32,
        fill_value=np.nan,
        compressors=BloscCodec(typesize=4, cname="zstd", clevel=5, shuffle="shuffle"),
        dimension_names=["time", "embedding", "y", "x"],
    )
    outcomes = group.create_array(
        OUTCOME,
        shape=(1, rows, width),
        chunks=(1, rows, CELL_CHIPS),
        dtype=np.uint8,
        fill_value=0,
        compressors=BloscCodec(typesize=1, cname="zstd", clevel=5, shuffle="noshuffle"),
        dimension_names=["time", "y", "x"],
    )
    return {EMBEDDINGS: vectors, OUTCOME: outcomes}


def _coordinate(group: Any, name: str, values: NDArray[Any], attributes: dict[str, Any]) -> None:  # noqa: ANN401 - zarr's
    form = {"shape": values.shape, "chunks": values.shape, "dtype": values.dtype}
    array = group.create_array(name, **form, attributes=attributes, dimension_names=[name])
    array[:] = values
