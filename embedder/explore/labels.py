"""Labels: chips with a class each, from points and polygons in a file, and the GeoJSON that the page keeps them in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.analysis.classify import Classes
from embedder.analysis.neighbours import Chips, keys_of
from embedder.errors import ConfigurationError, UsageError
from embedder.explore.label_shapes import Cells, cells_in, check_file, read_shapes, shapes_of
from embedder.explore.layers import MOST_CLASSES
from embedder.explore.places import GRID_TEXT, why_not
from embedder.explore.vectors.database import Database
from embedder.grid import Chip
from embedder.storage.base import os_errors_at

NAMED = 3
"""Chips that a line names."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Chips, each with one class."""

    pixels: int
    """Of a chip's side."""
    chips: Chips
    """By column, then row; each once."""
    codes: Classes
    """Of each chip, which of the classes."""
    classes: tuple[str, ...]
    """By name."""
    off_grid: int = 0
    """Points and polygons that hold no chip of the grid."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Labels of chips that have an embedding: two or more of each class."""

    positions: NDArray[np.int64]
    """Of the chips in the database."""
    codes: Classes
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    """What was left out, a line each."""


def read_labels(path: Path, pixels: int, column: str = "class") -> Labels:
    """Labels of chips `pixels` wide from a file, in any CRS that it names, otherwise in longitude and latitude; `column` has the classes.

    A point labels the chip that it is in, a polygon all chips whose middle is in it, one that is smaller the chip that it is in.
    """
    check_file(path)
    return make_labels(*read_shapes(path, column), pixels, str(path))


def labels_of(table: Any, pixels: int, column: str = "class") -> Labels:  # noqa: ANN401 - GeoPandas has no types
    """Labels from a GeoDataFrame, as `read_labels`."""
    return make_labels(*shapes_of(table, column, "the table"), pixels, "the table")


def make_labels(names: Sequence[str], shapes: Sequence[Any], pixels: int, place: str) -> Labels:
    """Labels from classes and shapes, longitude and latitude; ConfigurationError names what is wrong with which."""
    if not names:
        raise ConfigurationError(f"{place} holds no labels: give it points or polygons, each with a class")
    if blank := [number for number, name in enumerate(names, 1) if not name]:
        raise ConfigurationError(f"{len(blank)} labels of {place} have no class, number {blank[0]} first: fill them in, or remove them")
    classes = sorted(set(names))
    if len(classes) > MOST_CLASSES:
        raise ConfigurationError(f"{place} has {len(classes):,} classes, at most {MOST_CLASSES} can be: name the column that is meant")
    code_of = {name: code for code, name in enumerate(classes)}
    cells, codes, off_grid = [np.empty((0, 2), np.int64)], [np.empty(0, np.int64)], 0
    for number, (name, shape) in enumerate(zip(names, shapes, strict=True), 1):
        if shape is None or shape.is_empty or shape.geom_type.removeprefix("Multi") not in {"Point", "Polygon"}:
            kind = "nowhere" if shape is None or shape.is_empty else f"a {shape.geom_type}"
            raise ConfigurationError(f"label {number} of {place} is {kind}: labels are points or polygons")
        found = cells_in(shape, pixels)
        off_grid += not len(found)
        cells.append(found)
        codes.append(np.full(len(found), code_of[name]))
    chips, chosen = _each_once(np.concatenate(cells), np.concatenate(codes), classes, pixels, place)
    return Labels(pixels=pixels, chips=chips, codes=chosen, classes=tuple(classes), off_grid=off_grid)


def label_chips(classes: Mapping[str, Sequence[Chip]], pixels: int, place: str) -> Labels:
    """Labels from the chips of each class; ConfigurationError where a chip has two."""
    names = sorted(classes)
    cells = [(chip.column, chip.row) for name in names for chip in classes[name]]
    codes = np.repeat(np.arange(len(names)), [len(classes[name]) for name in names])
    chips, chosen = _each_once(np.array(cells, np.int64).reshape(-1, 2), codes, names, pixels, place)
    return Labels(pixels=pixels, chips=chips, codes=chosen, classes=tuple(names))


def write_labels(labels: Labels, path: Path) -> None:
    """Write the page's form: a GeoJSON FeatureCollection of points in the chips' middles, with `class` and `chip_id`."""
    features = []
    for (column, row), code in zip(labels.chips.tolist(), labels.codes.tolist(), strict=True):
        chip = Chip(column=column, row=row, pixels=labels.pixels)
        middle = [round(value, 7) for value in chip.bounds.center]
        properties = {"class": labels.classes[code], "chip_id": chip.id}
        geometry = {"type": "Point", "coordinates": middle}
        features.append({"type": "Feature", "id": chip.id, "geometry": geometry, "properties": properties})
    with os_errors_at(str(path)):
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}) + "\n")


def place_labels(database: Database, labels: Labels) -> Placed:
    """The labels whose chips have an embedding; ConfigurationError where two classes with two of them each don't remain."""
    pixels = database.recipe.chip_pixels
    if labels.pixels != pixels:
        raise UsageError(f"the labels are of chips of {labels.pixels} pixels, {database.recipe.name} has chips of {pixels}: read them anew")
    keys, positions = database.sorted_keys()
    wanted = keys_of(labels.chips)
    places = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    there = keys[places] == wanted if len(keys) else np.zeros(len(wanted), np.bool_)
    notes = [f"{labels.off_grid:,} labels are off the grid: left out"] if labels.off_grid else []
    absent = [Chip(column=column, row=row, pixels=pixels) for column, row in labels.chips[~there].tolist()]
    if absent:
        notes.append(f"{len(absent):,} labelled chips have no embedding in {database.year}, {_named(absent)}: left out")
    if not there.any():
        reason = why_not(database, absent[0]) if absent else f"all {labels.off_grid:,} labels are off the grid: {GRID_TEXT}"
        raise ConfigurationError(f"no labelled chip has an embedding: {reason}")
    remaining, codes, counts = np.unique(labels.codes[there], return_inverse=True, return_counts=True)
    classes = tuple(labels.classes[code] for code in remaining)
    lost = [name for name in labels.classes if name not in classes]
    if lost:
        notes.append(f"no label is left of {', '.join(lost)}")
    if len(classes) < 2:  # noqa: PLR2004 - one has no other to be told from
        raise ConfigurationError("; ".join([f"all labelled chips are of one class, {classes[0]}: label two chips of another one", *notes]))
    if few := [name for name, count in zip(classes, counts, strict=True) if count == 1]:
        raise ConfigurationError(f"one chip alone is labelled {', '.join(few)}: a class takes two with an embedding, or leave it out")
    return Placed(positions=positions[places[there]], codes=codes.astype(np.int64), classes=classes, notes=tuple(notes))


def _each_once(cells: Cells, codes: Classes, classes: Sequence[str], pixels: int, place: str) -> tuple[Chips, Classes]:
    """By column, then row; ConfigurationError where a chip has two classes."""
    found = np.unique(np.column_stack([cells, codes]), axis=0)
    chips, chosen = found[:, :2], found[:, 2]
    if len(twice := np.flatnonzero((chips[1:] == chips[:-1]).all(axis=1))):
        (column, row), first = chips[twice[0]].tolist(), chosen[twice[0] : twice[0] + 2].tolist()
        chip, more = Chip(column=column, row=row, pixels=pixels), len(np.unique(chips[twice], axis=0)) - 1
        raise ConfigurationError(
            f"chip {chip.id} has two classes in {place}, {' and '.join(classes[code] for code in first)}"
            f"{f', and {more:,} more chips have' if more else ''}: leave one to each"
        )
    return chips.astype(np.int16), chosen


def _named(chips: Sequence[Chip]) -> str:
    return ", ".join([chip.id for chip in chips[:NAMED]] + ["..."] * (len(chips) > NAMED))
