"""Hits as people and programs want them: a table, GeoJSON, CSV, GeoParquet."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embedder.errors import UsageError
from embedder.explore.search import Hit
from embedder.grid import Bounds
from embedder.output.column_file import geo_metadata, polygons
from embedder.storage.base import os_errors_at

MEDIA_TYPES = {
    "geojson": "application/geo+json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
"""By the name of the form, which is also the end of a file's name."""
MEASURES = ("distance", "score", "percentile")
"""What a hit may have; of a list, all hits have the same."""


def encode(hits: Sequence[Hit], form: str, metadata: dict[str, Any]) -> bytes:
    """The hits as a file of that form; `metadata` goes in where the form has a place for it."""
    if form == "geojson":
        return json.dumps(geojson(hits, metadata)).encode() + b"\n"
    if form == "csv":
        out = io.StringIO(newline="")
        fields = ["rank", "chip_id", "year", *_measures(hits), "longitude", "latitude", "west", "south", "east", "north"]
        writer = csv.DictWriter(out, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_row(hit) for hit in hits)
        return out.getvalue().encode()
    return _parquet(hits, metadata)


def write_file(hits: Sequence[Hit], path: Path, metadata: dict[str, Any]) -> None:
    """Write a .geojson, .csv or .parquet file."""
    with os_errors_at(str(path)):
        path.write_bytes(encode(hits, _form_of(path), metadata))


def check_file(path: Path) -> None:
    """UsageError where no file of hits can have that name, or there is no folder for it."""
    if _form_of(path) not in MEDIA_TYPES:
        raise UsageError(f"{path} is no name for a file of hits: end it with .geojson, .csv or .parquet")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for {path.name}: make it, or give --to another one")


def geojson(hits: Sequence[Hit], metadata: dict[str, Any]) -> dict[str, Any]:
    """A FeatureCollection of the chips' boxes, best first."""
    return {
        "type": "FeatureCollection",
        **metadata,
        "features": [
            {
                "type": "Feature",
                "id": hit.chip.id,
                "geometry": box(hit.chip.bounds),
                "properties": {name: value for name, value in _row(hit).items() if name not in vars(hit.chip.bounds)},
            }
            for hit in hits
        ],
    }


def table(hits: Sequence[Hit]) -> str:
    """Lines to read."""
    measures = _measures(hits)
    lines = [f"{'rank':>4}  {'chip':10}  {''.join(f'{name:>10}  ' for name in measures)}{'longitude':>10}  {'latitude':>9}"]
    for hit in hits:
        longitude, latitude = hit.chip.bounds.center
        values = "".join(f"{getattr(hit, name):>10.{3 if name == 'percentile' else 6}f}  " for name in measures)
        lines.append(f"{hit.rank:>4}  {hit.chip.id:10}  {values}{longitude:>10.5f}  {latitude:>9.5f}")
    return "\n".join(lines)


def _measures(hits: Sequence[Hit]) -> list[str]:
    """Those that the hits have."""
    return [name for name in MEASURES if hits and getattr(hits[0], name) is not None] or ([] if hits else ["distance"])


def box(bounds: Bounds) -> dict[str, Any]:
    """A box as a GeoJSON polygon."""
    west, south, east, north = (round(value, 7) for value in (bounds.west, bounds.south, bounds.east, bounds.north))
    return {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]}


def _form_of(path: Path) -> str:
    return path.suffix.lower().lstrip(".")


def _row(hit: Hit) -> dict[str, Any]:
    bounds = hit.chip.bounds
    longitude, latitude = bounds.center
    places = {"longitude": longitude, "latitude": latitude} | vars(bounds)
    measures = {name: getattr(hit, name) for name in _measures([hit])}
    return (
        {"rank": hit.rank, "chip_id": hit.chip.id, "year": hit.year} | measures | {name: round(value, 7) for name, value in places.items()}
    )


def _parquet(hits: Sequence[Hit], metadata: dict[str, Any]) -> bytes:
    chips = [hit.chip for hit in hits]
    bounds = np.array([(b.west, b.south, b.east, b.north) for b in (chip.bounds for chip in chips)]).reshape(len(chips), 4)
    geo = geo_metadata(chips)
    del geo["columns"]["geometry"]["covering"]
    content = {
        "rank": pa.array([hit.rank for hit in hits], pa.int32()),
        "chip_id": pa.array([chip.id for chip in chips], pa.string()),
        "year": pa.array([hit.year for hit in hits], pa.int32()),
        **{name: pa.array([getattr(hit, name) for hit in hits], pa.float64()) for name in _measures(hits)},
        "geometry": pa.array(polygons(bounds), pa.binary()),
    }
    made = pa.table(content).replace_schema_metadata({b"geo": json.dumps(geo).encode(), b"search": json.dumps(metadata).encode()})
    out = io.BytesIO()
    pq.write_table(made, out, compression="zstd")
    return out.getvalue()
