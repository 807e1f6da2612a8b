"""The files that people read: the data card in Hugging Face's form, the licence, the attribution. Pure."""

import json
from collections.abc import Sequence

from embedder.grid import TILE_PIXELS
from embedder.publish.record import Record
from embedder.publish.stac import COMPOSITES, DATA_TYPE, LICENCE, LICENCE_LINK, METRES_OF_A_DEGREE, MODEL, collection_id
from embedder.recipes import Recipe

LICENSE = f"""This data set is licensed under the Creative Commons Attribution 4.0 International licence ({LICENCE}):
{LICENCE_LINK}legalcode

It is derived from the ESA WorldCover Sentinel-2 composites, which are under the same licence, by the Clay foundation model, whose code
and weights are under the Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0

Whoever passes it on names the sources as ATTRIBUTION does, and says what was changed.
"""


def attribution(years: Sequence[int]) -> str:
    """What has to be named wherever the embeddings are shown or passed on."""
    named = " and ".join(map(str, years))
    return (
        f"(c) ESA WorldCover project {named} / Contains modified Copernicus Sentinel data ({named}) processed by the ESA WorldCover "
        f"consortium, under CC BY 4.0 ({COMPOSITES}). Embedded with the Clay foundation model ({MODEL}, Apache License 2.0)."
    )


def readme(records: Sequence[Record], recipe: Recipe) -> str:
    """The data card."""
    years = sorted({record.year for record in records})
    metres = recipe.chip_pixels / TILE_PIXELS * METRES_OF_A_DEGREE
    head = {
        "license": "cc-by-4.0",
        "pretty_name": f"{recipe.model} embeddings of ESA WorldCover",
        "creator": "worldcover-embeddings",
        "tags": ["embeddings", "earth-observation", "sentinel-2", "clay", "geospatial"],
        "embedding_spatial_types": ["scene"],
        "embedding_temporal_type": ["annual"],
        "embedding_dimension": recipe.width,
        "grid_spacing": f"{recipe.chip_pixels}/{TILE_PIXELS} degree ({metres:.0f} m of latitude)",
        "inference_datasets": [f"ESA WorldCover Sentinel-2 composite {year}" for year in years],
        "model_name": recipe.model,
        "model_link": MODEL,
        "quantization": sorted({DATA_TYPE[record.form] for record in records}),
        "configs": [
            {"config_name": f"{record.form}-{record.year}", "data_files": f"{record.folder}*.parquet"}
            for record in records
            if record.form != "zarr"
        ],
    }
    yaml = "\n".join(f"{name}: {json.dumps(value)}" for name, value in head.items())  # YAML takes JSON's values
    warnings = "".join(f"\n**NOTE: {text}**\n" for text in dict.fromkeys(record.warning for record in records) if text)
    rows = "\n".join(_row(record) for record in records)
    return f"""---
{yaml}
---

# {collection_id(recipe)}
{warnings}
One embedding of {recipe.width} numbers, by {recipe.model}, for each square of {recipe.chip_pixels} pixels of 1/{TILE_PIXELS} degree
of the [ESA WorldCover Sentinel-2 composites]({COMPOSITES}) that holds no nodata. The squares are on one regular grid (EPSG:4326), the same
in all years.

| form | year | files | MB | chips | |
|---|---|---|---|---|---|
{rows}

- `geoparquet/`: GeoParquet in spatial order, float32; `bbox` is the covering by which readers find their rows. Columns: `chip_id`,
  `embeddings`, `geometry`, `bbox` and the times of the composite.
- `int8/`: the same in 8 bits; a number is code * scale + offset of its dimension, which the footer's key `emb` and the STAC items hold.
- `zarr/`: Zarr v3, (time, embedding, y, x), NaN where nothing is embedded; `outcome` says why.
- `collection.json`: STAC, with the extension `emb`. `provenance/`: the runs' own manifests: source tiles, weights, cost.
- `SHA256SUMS`: `sha256sum -c SHA256SUMS` or `embedder verify .` checks a copy.

{attribution(years)} See LICENSE and ATTRIBUTION.
"""


def _row(record: Record) -> str:
    megabytes = sum(part.bytes for part in record.parts) / 1e6
    rows = sum(part.rows for part in record.parts)
    note = f"recall@10 {record.quantisation['recall']:.4f} against float32" if record.quantisation else ""
    whole = "" if record.complete else "not all columns"
    return (
        f"| {record.form} | {record.year} | {len(record.parts)} | {megabytes:,.1f} | {rows:,} | {', '.join(filter(None, (note, whole)))} |"
    )
