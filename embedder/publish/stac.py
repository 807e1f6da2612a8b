"""STAC 1.1 with the extension `emb` of geoembeddings.org: a collection, and an item for each file and year. Pure: records come in.

Facts: stac-extensions/embeddings v0.0.1; what is not in a core schema or an extension begins with `embedder:`.
"""

from collections.abc import Sequence
from typing import Any

from embedder.grid import TILE_PIXELS
from embedder.output.credits import COMPOSITES, WEIGHTS, Credit, composites_of
from embedder.output.receipt import Receipt, total
from embedder.output.stac import collection_fields
from embedder.output.times import first_second, last_second, middle, to_rfc3339
from embedder.publish.record import Part, Record
from embedder.recipes import BANDS, Recipe

VERSION = "1.1.0"
EMB = "https://stac-extensions.github.io/embeddings/v0.0.1/schema.json"
FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
MEDIA = {
    "geoparquet": "application/vnd.apache.parquet",
    "int8": "application/vnd.apache.parquet",
    "zarr": "application/vnd.zarr; version=3",
}
DATA_TYPE = {"geoparquet": "float32", "int8": "int8", "zarr": "float32"}
Json = dict[str, Any]


def works(records: Sequence[Record], recipe: Recipe) -> list[Credit]:
    """What the data set rests on, each with its own terms: the composites, and the weights unless they are random."""
    years = sorted({record.year for record in records})
    return [*map(composites_of, years), *([] if all(record.warning for record in records) else [WEIGHTS[recipe.model]])]


def license_of(records: Sequence[Record], recipe: Recipe) -> str:
    """That of all works, or STAC's word where they have several: then the links say which."""
    found = {work.license for work in works(records, recipe)}
    return found.pop() if len(found) == 1 else "other"


def collection_id(recipe: Recipe) -> str:
    """Of the whole data set."""
    return f"worldcover-embeddings-{recipe.name}"


def item_name(record: Record, part: Part) -> str:
    """Of the item of a file, which is also its id."""
    return part.file.partition("/")[0].rpartition(".")[0] + (f"_{record.form}" if record.form != "geoparquet" else "")


def item_key(record: Record, part: Part) -> str:
    """Where the item of a file is: not among the Parquet files, as records are not."""
    return f"items/{item_name(record, part)}.json"


def item(record: Record, part: Part, recipe: Recipe) -> Json:
    """The item of a file, or of a store of several."""
    up = "../"
    west, south, east, north = part.facts["bounds"]
    asset: Json = {
        "href": f"{up}{record.folder}{part.file}",
        "type": MEDIA[record.form],
        "roles": ["data", "embeddings"],
        "data_type": DATA_TYPE[record.form],
    }
    if part.bytes:
        asset["file:size"] = part.bytes
    if part.sha256:
        asset["file:checksum"] = f"1220{part.sha256}"  # a multihash: sha2-256 of 32 bytes
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": [EMB, FILE, PROCESSING],
        "id": item_name(record, part),
        "collection": collection_id(recipe),
        "bbox": [west, south, east, north],
        "geometry": {"type": "Polygon", "coordinates": [[[east, south], [east, north], [west, north], [west, south], [east, south]]]},
        "properties": _properties(record, part, recipe),
        "links": [
            {"rel": "root", "href": f"{up}collection.json", "type": "application/json"},
            {"rel": "parent", "href": f"{up}collection.json", "type": "application/json"},
            {"rel": "collection", "href": f"{up}collection.json", "type": "application/json"},
            {"rel": "describedby", "href": f"{up}{provenance(record.year, 'manifest')}", "type": "application/json", "title": "Manifest"},
            *_origins([record], recipe),
        ],
        "assets": {"embeddings": asset},
    }


def _properties(record: Record, part: Part, recipe: Recipe) -> Json:
    facts = part.facts
    said: Json = {
        "datetime": to_rfc3339(middle(record.year)),
        "start_datetime": to_rfc3339(first_second(record.year)),
        "end_datetime": to_rfc3339(last_second(record.year)),
        "license": license_of([record], recipe),
        "processing:software": {"worldcover-embeddings": record.package_version},
        "processing:version": record.package_version,
        "emb:preprocessing": {
            "format": "json",
            "expression": {"bands": list(BANDS), "mean": list(recipe.mean), "std": list(recipe.std), "chip_pixels": recipe.chip_pixels},
        },
        "emb:spatial_coverage": "all columns of the grid" if record.complete else "some columns of the grid",
        "embedder:recipe": record.recipe,
        "embedder:config_digest": record.config_digest,
        "embedder:weights_sha256": record.weights_sha256,
        "embedder:columns": part.columns,
        "embedder:rows": part.rows,
        "embedder:source_tiles": facts["tiles"],
    }
    if facts.get("inferred"):
        said["processing:datetime"] = facts["inferred"]
    if receipt := facts.get("receipt"):
        said["embedder:receipt"] = receipt
        if energy := _energy([Receipt.from_record(each) for each in receipt]):
            said["emb:energy"] = energy
    if record.warning:
        said["embedder:warning"] = record.warning
    if record.quantisation:
        found = record.quantisation["recall"]
        said["emb:quantization"] = {
            "method": "linear, a scale and an offset for each dimension: number = code * scale + offset",
            "original_dtype": "float32",
            "quantized_dtype": "int8",
            "scale": record.quantisation["scale"],
            "offset": record.quantisation["offset"],
        }
        said["emb:uncertainty"] = {
            "method": "recall@10 against float32, by cosine, all rows of the year compared",
            "description": f"{found:.4f}, measured on {record.quantisation['queries']} chips of the data itself, drawn by lot",
        }
        said["embedder:recall_at_10"] = found
    return said


def footer(record: Record, part: Part, recipe: Recipe) -> Json:
    """What a file's own key `emb` says: its item, as far as a file can know it, and what the collection says of all."""
    said = item(record, part, recipe) | of_all(recipe, DATA_TYPE[record.form])
    asset = said["assets"]["embeddings"] | {"href": f"./{part.file}"}
    return said | {"links": _origins([record], recipe), "assets": {"embeddings": asset}}


def collection(records: Sequence[Record], recipe: Recipe) -> Json:
    """The collection, which is the catalogue's root."""
    boxes = [part.facts["bounds"] for record in records for part in items_of(record)]
    years = sorted({record.year for record in records})
    bounds = [min(box[0] for box in boxes), min(box[1] for box in boxes), max(box[2] for box in boxes), max(box[3] for box in boxes)]
    form = next(record.form for record in records)
    links = [
        {"rel": "root", "href": "./collection.json", "type": "application/json"},
        {"rel": "about", "href": "./README.md", "type": "text/markdown", "title": "Data card"},
        *_origins(records, recipe),
    ]
    links += [
        {"rel": "item", "href": f"./{item_key(record, part)}", "type": "application/geo+json"}
        for record in records
        for part in items_of(record)
    ]
    return {
        "type": "Collection",
        "stac_version": VERSION,
        "stac_extensions": [EMB],
        "id": collection_id(recipe),
        "title": f"{recipe.model} embeddings of the ESA WorldCover Sentinel-2 composites",
        "description": f"One embedding of {recipe.width} numbers for each square of {recipe.chip_pixels} pixels (1/{TILE_PIXELS} degree). "
        + " ".join(work.attribution for work in works(records, recipe)),
        "license": license_of(records, recipe),
        "keywords": ["embeddings", "Clay", "Sentinel-2", "WorldCover"],
        "providers": [
            {"name": "ESA WorldCover", "roles": ["licensor", "producer"], "url": "https://esa-worldcover.org"},
            {"name": "Clay", "roles": ["processor"], "url": WEIGHTS[recipe.model].url, "description": "The model"},
        ],
        "extent": {
            "spatial": {"bbox": [bounds]},
            "temporal": {"interval": [[to_rfc3339(first_second(years[0])), to_rfc3339(last_second(years[-1]))]]},
        },
        **of_all(recipe, DATA_TYPE[form]),
        "summaries": {"embedder:form": [record.form for record in records], "embedder:year": years},
        "item_assets": {"embeddings": {"type": MEDIA[form], "roles": ["data", "embeddings"], "title": "The embeddings"}},
        "assets": {
            "sums": {"href": "./SHA256SUMS", "type": "text/plain", "roles": ["metadata"]},
            "attribution": {"href": "./ATTRIBUTION", "type": "text/plain", "roles": ["metadata"]},
        },
        "links": links,
    }


def items_of(record: Record) -> list[Part]:
    """One for each file; of a store, which is one thing in many files, one alone."""
    if record.form != "zarr" or not record.parts:
        return list(record.parts)
    return [store(record)]


def store(record: Record) -> Part:
    """A store as one part."""
    parts = [part for part in record.parts if part.facts]
    boxes = [part.facts["bounds"] for part in parts]
    facts = {
        "bounds": [min(box[0] for box in boxes), min(box[1] for box in boxes), max(box[2] for box in boxes), max(box[3] for box in boxes)],
        "tiles": {name: etag for part in parts for name, etag in part.facts["tiles"].items()},
        "receipt": [
            each.to_record() for each in total(Receipt.from_record(one) for part in parts for one in part.facts.get("receipt", ()))
        ],
        "inferred": max((part.facts.get("inferred") or "" for part in parts), default="") or None,
    }
    return Part(
        file=parts[0].file.partition("/")[0],
        source="",
        columns=",".join(part.columns for part in parts if part.columns),
        sha256="",
        bytes=sum(part.bytes for part in record.parts),
        rows=sum(part.rows for part in parts),
        facts=facts,
    )


def of_all(recipe: Recipe, data_type: str) -> Json:
    """What is the same of every embedding."""
    said = collection_fields(recipe)
    layout = said["emb:chip_layout"] | {"grid_id": f"worldcover-s2-{recipe.chip_pixels}"}
    uses = ["similarity search", "change detection", "classification by few labels"]
    return said | {"data_type": data_type, "emb:chip_layout": layout, "emb:fit_for_use": uses}


def _origins(records: Sequence[Record], recipe: Recipe) -> list[Json]:
    """Links to what files were made of and by, and to the terms of each."""
    clay = WEIGHTS[recipe.model]
    weights = dict.fromkeys((record.weights, record.weights_sha256) for record in records)
    return [
        *(
            {"rel": "emb:model", "href": _address(where) or clay.url, "title": recipe.model, "embedder:weights_sha256": sha256}
            for where, sha256 in weights
        ),
        {"rel": "emb:source-data", "href": COMPOSITES.url, "type": "text/html", "title": "ESA WorldCover Sentinel-2 composites (RGBNIR)"},
        *(
            {"rel": "license", "href": url, "title": license_}
            for license_, url in dict.fromkeys((work.license, work.license_url) for work in works(records, recipe))
        ),
    ]


def provenance(year: int, what: str) -> str:
    """Where the run's own manifest or record is kept in the data set."""
    return f"provenance/{year}/{what}.json"


def _address(weights: str) -> str | None:
    """Of weights that others can fetch."""
    return weights if weights.startswith(("http://", "https://")) else None


def _energy(receipt: Sequence[Receipt]) -> Json | None:
    """As `emb` says it, where one kind of device computed all that computed."""
    computed = [each for each in receipt if each.device]
    if len({each.device for each in computed}) != 1:
        return None
    device = computed[0].device or ""
    energy: Json = {"device_type": "cpu" if device == "cpu" else "gpu", "name": device}
    energy["inference_duration_s"] = round(sum(each.inference_duration_s for each in computed), 3)
    if all(each.energy_kwh is not None for each in computed):
        energy["energy_kwh"] = round(sum(each.energy_kwh or 0 for each in computed), 6)
    return energy
