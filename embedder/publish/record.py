"""The record of what has been put of one form and year, by which a publication goes on where it ended.

It is replaced after each file, so that it never names what is not there. STAC, card and sums are made of records alone.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from embedder.errors import ConfigurationError, NotFoundError
from embedder.output.fields import Kind, check_fields, is_count, is_sha256, is_text, optional, parse_json
from embedder.storage import ANY, Storage

FORMAT = 1
"""Of the record, and of how files are laid out: those of another are made anew."""
FORMS = ("geoparquet", "int8", "zarr")
PART_FIELDS: dict[str, Kind] = {
    **dict.fromkeys(("file", "source", "columns"), is_text),
    "sha256": is_sha256,
    **dict.fromkeys(("bytes", "rows"), is_count),
    "facts": lambda value: isinstance(value, dict),
}
FIELDS: dict[str, Kind] = {
    "form": lambda value: value in FORMS,
    "year": is_count,
    **dict.fromkeys(("recipe", "config_digest", "weights", "weights_sha256", "package_version"), is_text),
    "warning": optional(is_text),
    "complete": lambda value: type(value) is bool,
    "chips": lambda value: isinstance(value, dict),
    "quantisation": optional(lambda value: isinstance(value, dict)),
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file."""

    file: str
    """In the record's folder, or in one below it."""
    source: str
    """What it was made of: the same again would be the same file."""
    columns: str
    """Those of the grid, 0-31,40."""
    sha256: str
    bytes: int
    rows: int
    facts: dict[str, Any] = field(default_factory=dict, repr=False)
    """Of its item: bounds, the source's tiles with their ETags, the receipt, when it was inferred."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What there is of one form and year."""

    format: int = FORMAT
    form: str
    year: int
    recipe: str
    config_digest: str
    weights: str
    weights_sha256: str
    package_version: str
    """Of the package that embedded."""
    warning: str | None = None
    complete: bool
    """Whether all columns of the grid are in it."""
    chips: dict[str, int]
    """By outcome, as the manifest counts them."""
    quantisation: dict[str, Any] | None = None
    """Of int8: scale, offset, recall, and of which rows."""
    parts: tuple[Part, ...] = ()

    @property
    def folder(self) -> str:
        """Where its files are."""
        return f"{self.form}/{self.year}/"

    def with_parts(self, parts: Iterable[Part]) -> "Record":
        """With these files, in place of those of the same names."""
        named = {part.file: part for part in (*self.parts, *parts)}
        return replace(self, parts=tuple(named[file] for file in sorted(named)))

    def to_json(self) -> bytes:
        """The file."""
        return json.dumps(asdict(self), indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Self:
        """ConfigurationError where it is none."""
        try:
            said = parse_json(data)
            names = {each.name for each in fields(cls)}
            parts = tuple(Part(**part) for part in said.get("parts", ()))
            record = cls(**{name: value for name, value in said.items() if name in names} | {"parts": parts})
            check_fields(vars(record), FIELDS)
            for part in parts:
                check_fields(vars(part), PART_FIELDS)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(f"{where} is no record of a data set ({error!r:.200}): publish to another place") from error
        return record


def record_key(form: str, year: int) -> str:
    """Where a record is: not among the Parquet files, since tools take a folder of them as one table."""
    return f"provenance/{year}/{form}.json"


def find_record(storage: Storage, form: str, year: int) -> Record | None:
    """What there is of a form and year; None where nothing is, or an older version's."""
    key = record_key(form, year)
    try:
        data = storage.get(key).data
    except NotFoundError:
        return None
    record = Record.from_json(data, storage.where(key))
    return record if record.format == FORMAT else None


def put_record(storage: Storage, record: Record) -> bytes:
    """Replace the record; its bytes."""
    data = record.to_json()
    storage.put(record_key(record.form, record.year), data, replaces=ANY)
    return data
