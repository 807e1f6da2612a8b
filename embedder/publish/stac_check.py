"""Whether STAC's JSON is valid against the core schemas, which pystac brings along: no network."""

from functools import cache
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry, Resource

from embedder.publish.stac import VERSION


def fault(thing: Any) -> str | None:  # noqa: ANN401 - whatever JSON can hold
    """What is wrong with an item or a collection; None where nothing is."""
    kinds = {"Feature": "item", "Collection": "collection"}
    kind = kinds.get(str(thing.get("type"))) if isinstance(thing, dict) else None
    if kind is None:
        return "it is neither a STAC item nor a collection"
    error = best_match(_validator(kind).iter_errors(thing))
    if error is None:
        return None
    where = "/".join(map(str, error.absolute_path))
    return f"no valid STAC {kind}: {where + ': ' if where else ''}{' '.join(error.message.split())[:200]}"


@cache
def _validator(kind: str) -> Draft7Validator:
    schemas = get_local_schema_cache()
    registry: Registry[Any] = Registry().with_resources([(address, Resource.from_contents(schema)) for address, schema in schemas.items()])
    return Draft7Validator(schemas[f"https://schemas.stacspec.org/v{VERSION}/{kind}-spec/json-schema/{kind}.json"], registry=registry)
