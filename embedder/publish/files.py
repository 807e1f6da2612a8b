"""The forms that are GeoParquet: float32, and int8 by the record's quantisation."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from embedder.grid import format_columns
from embedder.publish import geoparquet, stac
from embedder.publish.layout import bands
from embedder.publish.making import Made, Plan, facts_of, source_of
from embedder.publish.quantise import Quantisation
from embedder.publish.record import Part, Record
from embedder.publish.source import Column, FinishedYear
from embedder.storage.scratch import scratch_folder

OF_ONE_COLUMN = ("column", "outcomes", "receipt", "tiles", "inferred_at")
"""What a column's footer says of itself alone."""


def plans(year: FinishedYear, record: Record) -> list[Plan]:
    """A file for each band."""
    row_bytes = year.recipe.width * (1 if record.quantisation else 4)
    shared = bands(year.rows, chip_pixels=year.recipe.chip_pixels, row_bytes=row_bytes)
    return [Plan(columns=columns, source=source_of(year, record, columns)) for columns in shared]


def make(year: FinishedYear, record: Record, plan: Plan, columns: Iterator[Column]) -> Made:
    """The file of a plan."""
    quantisation = Quantisation.from_record(record.quantisation) if record.quantisation else None
    tables, footers = [], []
    for column in columns:
        table = column.table
        if quantisation:  # at once: a file of codes is of four times as many columns
            table = geoparquet.with_codes(table, quantisation.encode(geoparquet.vectors_of(table)))
        tables.append(table)
        footers.append(column.footer)
    band = geoparquet.arrange(tables, year.recipe.chip_pixels)
    tables.clear()
    rows, numbers, facts = band.table.num_rows, format_columns(plan.columns), facts_of(footers, band.bounds)
    footer = _shared(footers) | {"columns": numbers, "tiles": facts["tiles"]}
    name = f"{year.recipe.name}_{year.year}_c{plan.columns[0]:04d}-c{plan.columns[-1]:04d}.parquet"
    part = Part(file=name, source=plan.source, columns=numbers, sha256="", bytes=0, rows=rows, facts=facts)  # as far as it is known
    emb = stac.footer(record, part, year.recipe)
    with scratch_folder() as scratch:
        scratch.mkdir(parents=True)
        path = scratch / name
        geoparquet.write(path, band, footer, emb)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        yield replace(part, sha256=sha256, bytes=path.stat().st_size), path


def _shared(footers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What all columns say alike."""
    first = footers[0].items()
    return {name: value for name, value in first if name not in OF_ONE_COLUMN and all(footer.get(name) == value for footer in footers)}
