"""Validation against the extension `emb` and STAC's core schemas, which pystac brings along: nothing is fetched."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry, Resource

EMB = Path(__file__).parent / "golden/stac-emb-v0.0.1.schema.json"
EXPRESSION = {"type": "object", "required": ["format", "expression"], "properties": {"format": {"type": "string"}}}
PROCESSING = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "definitions": {"fields": {"properties": {"processing:expression": EXPRESSION}}},
}
"""What `emb` refers to in the extension `processing`, which no package has."""


def emb_validator(version: str) -> Draft7Validator:
    """For Items and Collections of STAC `version`, 1.0.0 or 1.1.0.

    `emb` refers to the core schemas of 1.0.0, of which pystac has no copy any more; those of 1.1.0 stand for them: they add to them.
    """
    core = get_local_schema_cache()
    stand_ins = json.loads(json.dumps(core).replace('"const": "1.1.0"', f'"const": "{version}"'))
    schemas = core | {address.replace("v1.1.0", "v1.0.0"): schema for address, schema in stand_ins.items()}
    schemas["https://stac-extensions.github.io/processing/v1.2.0/schema.json"] = PROCESSING
    registry: Registry[Any] = Registry().with_resources([(name, Resource.from_contents(each)) for name, each in schemas.items()])
    return Draft7Validator(json.loads(EMB.read_text()), registry=registry)
