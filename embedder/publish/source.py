"""A finished run, as its manifest names it: columns come in one by one, verified, as Arrow tables."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from embedder.errors import ConfigurationError, InvalidFileError
from embedder.grid import VERSIONS
from embedder.output.column_file import FOOTER_KEY
from embedder.output.fields import parse_json
from embedder.output.manifest import Manifest, find_manifest
from embedder.output.run import RunPlace
from embedder.output.whereabouts import advice
from embedder.recipes import Recipe
from embedder.storage import Storage

AHEAD = 16
"""Columns that are read at a time: some 30 MB."""
THREADS = 4


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's file, all columns of its table as they are."""

    number: int
    table: pa.Table
    footer: dict[str, Any]
    """Its key `worldcover_embeddings`."""


@dataclass(frozen=True, kw_only=True)
class FinishedYear:
    """What is published of one recipe and year."""

    place: RunPlace
    manifest: Manifest
    manifest_json: bytes = field(repr=False)

    @property
    def recipe(self) -> Recipe:
        """Model and chip size."""
        return self.place.recipe

    @property
    def year(self) -> int:
        """Of the composites."""
        return self.place.year

    @cached_property
    def rows(self) -> dict[int, int]:
        """By column, west to east."""
        return {column: entry.rows for column, entry in sorted(self.manifest.columns.items())}

    def digest(self, columns: Sequence[int]) -> str:
        """SHA-256 of what these columns are, by the SHA-256 of their files."""
        names = "".join(f"{column}:{self.manifest.columns[column].sha256}\n" for column in columns)
        return hashlib.sha256(names.encode()).hexdigest()

    def read(self, column: int) -> Column:
        """A column's file; InvalidFileError where it is not the one that the manifest names, or can't be read."""
        entry = self.manifest.columns[column]
        key = self.place.prefix + entry.file
        where = self.place.storage.where(key)
        data = self.place.storage.get(key).data
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise InvalidFileError(f"{where} is not the file that the manifest names: finalize the run again")
        try:
            table = pq.read_table(pa.BufferReader(data))
            footer = parse_json(table.schema.metadata[FOOTER_KEY])
            held = table.num_rows, table.schema.field("embeddings").type.list_size
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidFileError(f"{where} is unreadable ({' '.join(str(error).split())[:200]}): embed the column again") from error
        if held != (entry.rows, self.recipe.width):
            raise InvalidFileError(f"{where} holds {held[0]} embeddings of {held[1]} numbers, not {entry.rows} of {self.recipe.width}")
        return Column(number=column, table=table, footer=footer)

    def stream(self, columns: Sequence[int]) -> Iterator[Column]:
        """These columns, in their order, a few read ahead."""
        with ThreadPoolExecutor(THREADS, thread_name_prefix="publish") as pool:
            for first in range(0, len(columns), AHEAD):
                yield from pool.map(self.read, columns[first : first + AHEAD])


def finished_years(storage: Storage, recipe: Recipe, years: Sequence[int] = ()) -> list[FinishedYear]:
    """The years asked for, or all that are published; ConfigurationError where one of them, or all, are not."""
    found, missing = [], []
    for year in years or VERSIONS:
        place = RunPlace(storage=storage, recipe=recipe, year=year)
        stored = find_manifest(place)
        if stored and any(entry.rows for entry in stored.manifest.columns.values()):
            found.append(FinishedYear(place=place, manifest=stored.manifest, manifest_json=stored.data))
        else:
            missing.append(year)
    if missing and (years or not found):
        where = storage.where(f"{recipe.name}/")
        names = ", ".join(map(str, missing))
        to_do = advice(storage, recipe) or "check --output, --recipe and --years, or finalize first"
        raise ConfigurationError(f"no embeddings of {names} are published at {where}: {to_do}")
    return found
