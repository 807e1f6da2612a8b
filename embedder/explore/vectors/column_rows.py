"""A column's file as search wants it: unit vectors, and the chips that they belong to."""

import hashlib
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embedder.errors import InvalidFileError
from embedder.explore.vectors.catalogue import Published
from embedder.grid import COLUMN_COUNT, COLUMN_PIXELS, HEIGHT_PIXELS, NORTH, TILE_PIXELS, WEST, chips_in_column
from embedder.output.chip_ids import Chips, chips_of_ids
from embedder.output.column_file import FOOTER_KEY
from embedder.output.fields import parse_json
from embedder.recipes import Recipe

Vectors = NDArray[np.float32]
"""(rows, width), each of length 1: then the cosine is a product, and its order that of the cosine of the stored embeddings."""


@dataclass(frozen=True, kw_only=True)
class ColumnRows:
    """What a file holds."""

    vectors: Vectors
    chips: Chips
    outcomes: str | None
    """One letter a chip, as in the footer; None where the file has none (v002)."""
    lengths: NDArray[np.float32]
    """(rows,): of the embeddings as they are stored."""


def read_column(published: Published, column: int) -> ColumnRows:
    """Read and verify a column's file; InvalidFileError where it is not the one that the manifest names."""
    file = published.columns[column]
    where = published.storage.where(file.key)
    data = published.storage.get(file.key).data
    if file.is_sha256 and hashlib.sha256(data).hexdigest() != file.identity:
        raise InvalidFileError(f"{where} is not the file that the manifest names: finalize the run again, then start again")
    try:
        vectors, chips, outcomes = _content(data, published.recipe, column if file.is_sha256 else None)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidFileError(f"{where} is unreadable ({' '.join(str(error).split())[:200]}): embed the column again") from error
    if vectors.size != len(chips) * published.recipe.width:
        raise InvalidFileError(f"{where} holds no embeddings of {published.recipe.width} numbers: check --recipe")
    vectors = vectors.reshape(len(chips), published.recipe.width)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    numbers = np.finfo(np.float32)
    usable = (lengths > numbers.tiny) & (lengths < numbers.max)  # finalize has checked ours; of the v002 files nobody says
    vectors = vectors / np.where(usable, lengths, 1).astype(np.float32)[:, None]
    if not usable.all():
        vectors, chips, lengths = vectors[usable], chips[usable], lengths[usable]
    return ColumnRows(vectors=np.ascontiguousarray(vectors), chips=chips, outcomes=outcomes, lengths=lengths.astype(np.float32))


def _content(data: bytes, recipe: Recipe, column: int | None) -> tuple[Vectors, Chips, str | None]:
    """All numbers of the vectors, the chips, and the outcomes; `column` is None for a file of v002, whose boxes say where its chips are."""
    parquet = pq.ParquetFile(pa.BufferReader(data))
    table = parquet.read(columns=["embeddings", "geometry" if column is None else "chip_id"])
    outcomes = parse_json((parquet.schema_arrow.metadata or {}).get(FOOTER_KEY, b"{}")).get("outcomes")
    if outcomes is not None and not re.fullmatch(f"[a-z]{{{chips_in_column(recipe.chip_pixels)}}}", outcomes):
        raise ValueError("its outcomes are not one letter for each chip")
    if table.num_rows == 0:
        return np.empty(0, np.float32), np.empty((0, 2), np.int16), outcomes
    lists = table["embeddings"].combine_chunks()
    if lists.null_count:
        raise ValueError("an embedding is null")
    chips = _chips_of_boxes(table["geometry"], recipe.chip_pixels) if column is None else chips_of_ids(table["chip_id"])
    if column is not None:
        across, rows = COLUMN_PIXELS // recipe.chip_pixels, HEIGHT_PIXELS // recipe.chip_pixels
        if (chips[:, 0] // across != column).any() or (chips[:, 1] >= rows).any() or len(np.unique(chips, axis=0)) < len(chips):
            raise ValueError(f"its chips are not those of column {column}, each once")
    return np.asarray(lists.flatten(), np.float32), chips, outcomes


def _chips_of_boxes(boxes: pa.ChunkedArray, pixels: int) -> Chips:
    """Of the chips' boxes, by their north-west corners."""
    import shapely  # noqa: PLC0415 - for the v002 files alone

    try:
        bounds = shapely.bounds(shapely.from_wkb(boxes.to_numpy()))
    except shapely.errors.ShapelyError as error:
        raise ValueError(f"a box is none: {error}") from error
    corners = np.stack([bounds[:, 0] - WEST, NORTH - bounds[:, 3]], axis=1) * TILE_PIXELS / pixels
    limits = [COLUMN_COUNT * COLUMN_PIXELS // pixels, HEIGHT_PIXELS // pixels]
    if not ((corners > -0.5) & (corners < limits)).all():  # noqa: PLR2004 - as it is rounded; NaN is no place either
        raise ValueError("a box is off the grid")
    chips: Chips = np.rint(corners).astype(np.int16)
    return chips
