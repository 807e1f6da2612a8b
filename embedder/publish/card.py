"""The files that people read: the data card in Hugging Face's form, the licence, the attribution. Pure."""

import json
from collections.abc import Sequence

from embedder.grid import TILE_PIXELS
from embedder.output.credits import COMPOSITES, WEIGHTS, Credit
from embedder.output.stac import collection_fields
from embedder.publish import stac
from embedder.publish.record import Record
from embedder.recipes import Recipe

HUGGING_FACE = {"CC-BY-4.0": "cc-by-4.0", "Apache-2.0": "apache-2.0"}
"""Its names of licences; any other is `other`."""


def license_text(works: Sequence[Credit]) -> str:
    """The terms of each work that the data set rests on."""
    terms = "\n".join(f"- {name}: {url}" for name, url in dict.fromkeys((work.license, work.license_url) for work in works))
    return f"""These embeddings are derived from works of others, and are passed on under the terms of these:

{terms}

Whoever passes them on names the works as ATTRIBUTION does, and says what was changed.
"""


def attribution(works: Sequence[Credit]) -> str:
    """What has to be named wherever the embeddings are shown or passed on."""
    return "".join(f"{work.attribution} ({work.license}, {work.url})\n" for work in works)


def readme(records: Sequence[Record], recipe: Recipe) -> str:
    """The data card."""
    years = sorted({record.year for record in records})
    works = stac.works(records, recipe)
    license_ = stac.license_of(records, recipe)
    head = {
        "license": HUGGING_FACE.get(license_, "other"),
        **({} if license_ in HUGGING_FACE else {"license_name": " and ".join(dict.fromkeys(work.license for work in works))}),
        "license_link": "LICENSE",
        "pretty_name": f"{recipe.model} embeddings of ESA WorldCover",
        "creator": "worldcover-embeddings",
        "tags": ["embeddings", "earth-observation", "sentinel-2", "clay", "geospatial"],
        "embedding_spatial_types": ["scene"],
        "embedding_temporal_type": ["annual"],
        "embedding_dimension": recipe.width,
        "grid_spacing": f"{recipe.chip_pixels}/{TILE_PIXELS} degree ({collection_fields(recipe)['gsd']} m of latitude)",
        "inference_datasets": [f"ESA WorldCover Sentinel-2 composite {year}" for year in years],
        "model_name": recipe.model,
        "model_link": WEIGHTS[recipe.model].url,
        "quantization": sorted({stac.DATA_TYPE[record.form] for record in records}),
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

# {stac.collection_id(recipe)}
{warnings}
One embedding of {recipe.width} numbers, by {recipe.model}, for each square of {recipe.chip_pixels} pixels of 1/{TILE_PIXELS} degree
of the [ESA WorldCover Sentinel-2 composites]({COMPOSITES.url}) that holds no nodata. The squares are on one regular grid
(EPSG:4326), the same in all years.

| form | year | files | MB | chips | |
|---|---|---|---|---|---|
{rows}

- `geoparquet/`: GeoParquet in spatial order, float32; `bbox` is the covering by which readers find their rows. Columns: `chip_id`,
  `embeddings`, `geometry`, `bbox` and the times of the composite.
- `int8/`: the same in 8 bits; a number is code * scale + offset of its dimension, which the footer's key `emb` and the STAC items hold.
- `zarr/`: Zarr v3, (time, embedding, y, x), NaN where nothing is embedded; `outcome` says why.
- `collection.json` and `items/`: STAC, with the extension `emb`. `provenance/`: the runs' own manifests: source tiles, weights, cost.
- `SHA256SUMS`: `sha256sum -c SHA256SUMS` or `embedder verify .` checks a copy.

{attribution(works)}
The terms of each are in LICENSE.
"""


def _row(record: Record) -> str:
    megabytes = sum(part.bytes for part in record.parts) / 1e6
    rows = sum(part.rows for part in record.parts)
    note = f"recall@10 {record.quantisation['recall']:.4f} against float32" if record.quantisation else ""
    whole = "" if record.complete else "not all columns"
    return (
        f"| {record.form} | {record.year} | {len(record.parts)} | {megabytes:,.1f} | {rows:,} | {', '.join(filter(None, (note, whole)))} |"
    )
