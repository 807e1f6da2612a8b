"""The form that is a Zarr store, a strip at a time."""

import hashlib
from collections.abc import Iterator

from embedder.grid import NORTH, TILE_PIXELS, WEST, format_columns
from embedder.output.chip_ids import chips_of_ids
from embedder.publish import stac, zarr_store
from embedder.publish.layout import columns_in_cell
from embedder.publish.making import Made, Plan, facts_of, source_of
from embedder.publish.record import Part, Record
from embedder.publish.source import Column, FinishedYear


def plans(year: FinishedYear, record: Record) -> list[Plan]:
    """The strips, and last what makes a store of them."""
    strips = zarr_store.strips(year.rows, year.recipe.chip_pixels).values()
    found = [Plan(columns=tuple(columns), source=source_of(year, record, columns)) for columns in strips]
    return [*found, Plan(columns=(), source=source_of(year, record, (), _attributes(year, record)))]


def make(year: FinishedYear, record: Record, plan: Plan, columns: Iterator[Column]) -> Made:
    """The objects of a plan."""
    recipe, store = year.recipe, f"{year.recipe.name}_{year.year}.zarr"
    if not plan.columns:
        for key, data in zarr_store.metadata_objects(recipe, year.year, _attributes(year, record)).items():
            yield _part(f"{store}/{key}", plan, data), data
        return
    read = list(columns)
    strip = plan.columns[0] // columns_in_cell(recipe.chip_pixels)
    embeddings, _ = zarr_store.keys_of(strip)
    for key, data in zarr_store.strip_objects(read, strip, recipe).items():
        with_chips = [column for column in read if column.table.num_rows] if key == embeddings else []
        yield _part(f"{store}/{key}", plan, data, with_chips, recipe.chip_pixels), data


def _part(file: str, plan: Plan, data: bytes, columns: list[Column] | None = None, chip_pixels: int = 0) -> Part:
    """An object; `columns` are those whose embeddings are in it."""
    facts = {}
    if columns:
        step = chip_pixels / TILE_PIXELS
        chips = [chips_of_ids(column.table["chip_id"]) for column in columns]
        west, east = (min(each[:, 0].min() for each in chips), max(each[:, 0].max() for each in chips) + 1)
        north, south = (min(each[:, 1].min() for each in chips), max(each[:, 1].max() for each in chips) + 1)
        bounds = [float(WEST + west * step), float(NORTH - south * step), float(WEST + east * step), float(NORTH - north * step)]
        facts = facts_of([column.footer for column in columns], bounds)
    return Part(
        file=file,
        source=plan.source,
        columns=format_columns(column.number for column in columns or ()),
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        rows=sum(column.table.num_rows for column in columns or ()),
        facts=facts,
    )


def _attributes(year: FinishedYear, record: Record) -> stac.Json:
    """What the store says of itself: what `emb` says, without what each item says again."""
    said = {
        "title": f"{year.recipe.model} embeddings of ESA WorldCover {year.year}",
        "license": stac.license_of([record], year.recipe),
        "embedder:recipe": record.recipe,
        "embedder:config_digest": record.config_digest,
        "embedder:weights_sha256": record.weights_sha256,
        "embedder:package_version": record.package_version,
    }
    if record.warning:
        said["embedder:warning"] = record.warning
    return said | stac.of_all(year.recipe, stac.DATA_TYPE[record.form])
