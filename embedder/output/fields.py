"""The fields of JSON files that anybody may have written: whether each holds what it can hold."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Kind = Callable[[Any], bool]
"""Whether a value can be a field's."""


def parse_json(data: bytes) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """What the bytes say; ValueError where they are no JSON, or too deep for its parser."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def check_fields(fields: Mapping[str, Any], kinds: Mapping[str, Kind]) -> None:
    """ValueError for a field that holds what it can't; KeyError for one that is not there."""
    for name, is_right in kinds.items():
        if not is_right(fields[name]):
            raise ValueError(f"its {name} can't be {fields[name]!r:.40}")


def is_count(value: object) -> bool:
    """A whole number from 0, as 64 bits hold it."""
    return type(value) is int and 0 <= value < 2**63


def is_amount(value: object) -> bool:
    """A number from 0, whole or not; neither NaN nor infinite."""
    return type(value) in {int, float} and 0 <= value < 2**63  # type: ignore[operator]


def is_flag(value: object) -> bool:
    """True or false, and no number."""
    return type(value) is bool


def is_text(value: object) -> bool:
    """Text that can be printed, or written to a file."""
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


def is_line(value: object) -> bool:
    """Text that can be a header's."""
    return isinstance(value, str) and value.isprintable()


def is_sha256(value: object) -> bool:
    """In small hexadecimal digits."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def is_file(value: object) -> bool:
    """A plain name, or one in a folder beside it: nothing that leads elsewhere."""
    return isinstance(value, str) and re.fullmatch(r"(?:\w[\w-]*/)?\w[\w.-]*", value, re.ASCII) is not None


def optional(is_right: Kind) -> Kind:
    """Also null."""
    return lambda value: value is None or is_right(value)
