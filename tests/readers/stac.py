"""Validation against STAC's core schemas, which pystac brings, and the extension `emb`, so that nothing is fetched."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pystac.validation
from referencing import Registry, Resource
from referencing.exceptions import NoSuchResource

EMB = Path(__file__).parents[1] / "golden/stac-emb-v0.0.1.schema.json"
CORE = Path(pystac.validation.__file__).parent / "jsonschemas"
"""Of STAC 1.1.0."""
EXPRESSION = {"type": "object", "required": ["format", "expression"], "properties": {"format": {"type": "string"}}}
PROCESSING = {"definitions": {"fields": {"properties": {"processing:expression": EXPRESSION}}}}
"""What `emb` refers to in the extension `processing`, which no package has."""


def validate(item: dict[str, Any]) -> None:
    """Raises jsonschema.ValidationError where an Item, or a Collection, is not valid against the core schemas and `emb`."""
    schema = json.loads(EMB.read_text())
    jsonschema.Draft7Validator(schema, registry=Registry(retrieve=_retrieve)).validate(item)


def _retrieve(uri: str) -> Resource[Any]:
    name = uri.rpartition("/")[2]
    if uri.startswith("https://stac-extensions.github.io/processing/"):
        return Resource.from_contents(PROCESSING | {"$schema": "http://json-schema.org/draft-07/schema#"})
    for folder in ("geojson", "stac-spec/v1.1.0"):
        if (file := CORE / folder / name).exists():
            # `emb` refers to 1.0.0, of which pystac has no copy any more; but for additions 1.1.0 is the same.
            return Resource.from_contents(json.loads(file.read_text().replace("1.1.0", "1.0.0")))
    raise NoSuchResource(ref=uri)
