"""The manifest `_manifest.json`: which columns are published, and whether the year is whole. Readers trust it, never a listing."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from embedder import __version__
from embedder.area import Area
from embedder.errors import ConfigurationError, NotFoundError
from embedder.grid import COLUMN_COUNT, column_window
from embedder.output.column_file import CheckedColumn, count_outcomes
from embedder.output.credits import attribution_of, license_of
from embedder.output.fields import Kind, check_fields, is_count, is_file, is_flag, is_sha256, is_text, optional, parse_json
from embedder.output.formats import MANIFEST
from embedder.output.receipt import Receipt, total
from embedder.output.run import Run, RunPlace

FILE_FIELDS: dict[str, Kind] = {"file": is_file, "rows": is_count, "bytes": is_count, "sha256": is_sha256}
"""What a manifest says of a column's file."""
FIELDS: dict[str, Kind] = {
    **dict.fromkeys(("recipe", "config_digest", "weights", "weights_sha256", "package_version"), is_text),
    "year": is_count,
    "complete": is_flag,
    "chips": lambda value: isinstance(value, dict) and all(map(is_count, value.values())),
    **dict.fromkeys(("license", "attribution"), lambda value: isinstance(value, dict) and all(map(is_text, (*value, *value.values())))),
    "warning": optional(is_text),
    "area": optional(lambda value: bool(Area.parse(value))),
}
"""What it says of the whole."""


@dataclass(frozen=True, kw_only=True)
class PublishedColumn:
    """A column's file, as it was when it was published."""

    file: str
    """Relative to the manifest."""
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is published of one recipe and year."""

    format: int = MANIFEST.written
    recipe: str
    year: int
    config_digest: str
    """Of the run; files of another one are not comparable."""
    weights: str
    """Where plan took the checkpoint from."""
    weights_sha256: str
    package_version: str = __version__
    complete: bool
    """Whether every column of the grid, or of the area, is published."""
    chips: dict[str, int]
    """Of all columns, by outcome."""
    columns: dict[int, PublishedColumn] = field(repr=False)
    license: dict[str, str] = field(default_factory=dict)
    """Of the works that the embeddings rest on, by work; of none in a manifest from before they were named."""
    attribution: dict[str, str] = field(default_factory=dict)
    """What to name each by."""
    warning: str | None = None
    """What everyone who sees the embeddings must know."""
    area: str | None = None
    """Of the run, packed, where it has one."""
    receipt: tuple[Receipt, ...] = ()
    """What the columns cost, summed up for each kind of machine; of those whose files say it."""

    @classmethod
    def of_columns(cls, place: RunPlace, run: Run, checked: Mapping[str, CheckedColumn]) -> Self:
        """The manifest that publishes these columns of a run, each by its file's key."""
        return cls(
            recipe=run.recipe.name,
            year=run.year,
            config_digest=run.config_digest,
            weights=run.weights,
            weights_sha256=run.weights_sha256,
            complete=len(checked) == run.whole,
            chips=count_outcomes(run, checked.values()),
            columns={
                column.column: PublishedColumn(
                    file=key.removeprefix(place.prefix),
                    rows=column.rows,
                    bytes=column.size,
                    sha256=column.sha256,
                )
                for key, column in checked.items()
            },
            license=license_of(run),
            attribution=attribution_of(run),
            warning=run.warning,
            area=str(run.area) if run.area else None,
            receipt=total(column.receipt for column in checked.values() if column.receipt),
        )

    @property
    def whole(self) -> int:
        """How many columns there are to publish."""
        return len(Area.parse(self.area).columns) if self.area else COLUMN_COUNT

    def to_json(self) -> bytes:
        """The file."""
        record: dict[str, Any] = {name: value for name, value in asdict(self).items() if value is not None}
        if self.receipt:
            record["receipt"] = [each.to_record() for each in self.receipt]
        else:
            del record["receipt"]
        return json.dumps(record, indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Self:
        """The manifest in a file; ConfigurationError where it is none that this version can read."""
        try:
            record = parse_json(data)
            MANIFEST.check(record.get("format", 1), where)
            columns = {_number(column): PublishedColumn(**_known(PublishedColumn, entry)) for column, entry in record["columns"].items()}
            for column, file in columns.items():
                column_window(column)  # raises where there is none
                check_fields(vars(file), FILE_FIELDS)
            receipt = _receipt(record.get("receipt", []), len(columns))
            manifest = cls(**_known(cls, record) | {"columns": dict(sorted(columns.items())), "receipt": receipt})
            check_fields(vars(manifest), FIELDS)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(f"{where} is not a manifest ({error!r:.200}): restore it, or remove it and finalize again") from error
        return manifest


@dataclass(frozen=True, kw_only=True)
class StoredManifest:
    """A manifest where it was read."""

    manifest: Manifest
    version: str
    """Of the file, in the storage."""
    data: bytes = field(repr=False)


def find_manifest(place: RunPlace) -> StoredManifest | None:
    """What is published there, if anything; ConfigurationError where the file is no manifest."""
    try:
        stored = place.storage.get(place.manifest_key)
    except NotFoundError:
        return None
    manifest = Manifest.from_json(stored.data, place.storage.where(place.manifest_key))
    return StoredManifest(manifest=manifest, version=stored.version, data=stored.data)


def find_manifest_of(place: RunPlace, run: Run) -> StoredManifest | None:
    """What this run has published; ConfigurationError where what is published is another run's."""
    published = find_manifest(place)
    if published and published.manifest.config_digest != run.config_digest:
        raise ConfigurationError(f"{place.storage.where(place.manifest_key)} is another run's: use another --output, or remove it")
    return published


def _receipt(record: object, columns: int) -> tuple[Receipt, ...]:
    """Of so many columns at most; ValueError or TypeError where that can't be."""
    if not isinstance(record, list):
        raise TypeError(f"its receipt can't be {record!r:.40}")
    receipt = tuple(map(Receipt.from_record, record))
    if sum(each.columns for each in receipt) > columns:
        raise ValueError(f"its receipt can't be of more than {columns} columns")
    return receipt


def _number(text: str) -> int:
    """A column's; ValueError for 07 beside 7."""
    if str(int(text)) != text:
        raise ValueError(f"a column can't be {text!r:.40}")
    return int(text)


def _known(kind: type[Manifest | PublishedColumn], record: dict[str, Any]) -> dict[str, Any]:
    """Without what a later package may have added."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in record.items() if name in names}
