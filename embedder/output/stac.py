"""A column's file as one STAC Item of the extension `emb`: what geoembeddings.org puts into a GeoParquet footer's key of that name."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from embedder import __version__
from embedder.grid import TILE_PIXELS, VERSIONS, Chip
from embedder.output.credits import credits_of
from embedder.output.receipt import Receipt
from embedder.output.run import Run, column_name
from embedder.output.times import first_second, last_second, middle, to_rfc3339
from embedder.recipes import BANDS, Recipe

EXTENSIONS = (
    "https://stac-extensions.github.io/embeddings/v0.0.1/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
)
STAC_VERSION = "1.0.0"
"""The one that `emb` builds on."""
DEGREE_METRES = 111_132
"""A degree of latitude, on the average."""


def column_item(
    run: Run,
    column: int,
    chips: Sequence[Chip],
    *,
    device: str | None,
    precision: str | None,
    inferred: datetime | None,
    receipt: Receipt | None,
    name: str | None = None,
) -> dict[str, Any]:
    """The Item of a column's file. `chips` are those with an embedding; `name` is the file's, where it is another than the first one's."""
    name = name or f"{column_name(run.year, column)}.parquet"
    item: dict[str, Any] = {
        "stac_version": STAC_VERSION,
        "stac_extensions": list(EXTENSIONS),
        "type": "Feature",
        "id": name.removesuffix(".parquet"),
        **_extent(chips),
        "properties": _properties(run, device=device, precision=precision, inferred=inferred, receipt=receipt),
        "links": _links(run),
        "assets": {"embeddings": {"href": f"./{name}", "type": "application/vnd.apache.parquet", "roles": ["data"]}},
    }
    return item | collection_fields(run.recipe)


def collection_fields(recipe: Recipe) -> dict[str, Any]:
    """What all the files of a recipe have in common: a collection's fields, and a lone file's too."""
    return {
        "emb:type": "chip",
        "emb:dimensions": recipe.width,
        "data_type": "float32",
        "gsd": round(recipe.chip_pixels / TILE_PIXELS * DEGREE_METRES),
        "emb:temporal_resolution": "annual",
        "emb:chip_layout": {"layout_type": "regular_grid", "chip_size": [recipe.chip_pixels] * 2, "stride": [recipe.chip_pixels] * 2},
    }


def _extent(chips: Sequence[Chip]) -> dict[str, Any]:
    """Of a column without a chip, none."""
    if not chips:
        return {"geometry": None}
    bounds = [chip.bounds for chip in chips]
    west, south = min(each.west for each in bounds), min(each.south for each in bounds)
    east, north = max(each.east for each in bounds), max(each.north for each in bounds)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"bbox": [west, south, east, north], "geometry": {"type": "Polygon", "coordinates": [ring]}}


def _properties(
    run: Run, *, device: str | None, precision: str | None, inferred: datetime | None, receipt: Receipt | None
) -> dict[str, Any]:
    recipe = run.recipe
    properties = {
        "datetime": to_rfc3339(middle(run.year)),
        "start_datetime": to_rfc3339(first_second(run.year)),
        "end_datetime": to_rfc3339(last_second(run.year)),
        "license": "various",  # of several works: the links say which
        "processing:datetime": inferred and to_rfc3339(inferred),
        "processing:version": VERSIONS[run.year],
        "processing:software": {"worldcover-embeddings": __version__},
        "emb:preprocessing": {"format": "python", "expression": f"(bands - {list(recipe.mean)}) / {list(recipe.std)}"},
        "emb:runtime_parameters": {
            "recipe": recipe.name,
            "model": recipe.model,
            "weights_sha256": run.weights_sha256,
            "bands": list(BANDS),
            "device": device,
            "precision": precision,
        },
        "emb:energy": _energy(receipt) if receipt and receipt.device else None,
    }
    return {name: value for name, value in properties.items() if value is not None}


def _energy(receipt: Receipt) -> dict[str, Any]:
    energy = {
        "device_type": "cpu" if receipt.device == "cpu" else "gpu",
        "name": receipt.device,
        "inference_duration_s": receipt.inference_duration_s,
        "energy_kwh": receipt.energy_kwh,
    }
    return {name: value for name, value in energy.items() if value is not None}


def _links(run: Run) -> list[dict[str, str]]:
    works = credits_of(run)
    relations = {"composites": "emb:source-data", "weights": "emb:model"}
    described = [{"rel": relations[work], "href": credit.url, "title": credit.attribution} for work, credit in works.items()]
    return described + [
        {"rel": "license", "href": credit.license_url, "title": f"{credit.license} ({work})"} for work, credit in works.items()
    ]
