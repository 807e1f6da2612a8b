"""A column's file as search wants it: unit vectors, and the chips that they belong to."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embedder.errors import InvalidFileError
from embedder.explore.vectors.catalogue import Published
from embedder.grid import NORTH, TILE_PIXELS, WEST
from embedder.output.column_file import FOOTER_KEY

Vectors = NDArray[np.float32]
"""(rows, width), each of length 1: then the cosine is a product, and its order that of the cosine of the stored embeddings."""
Chips = NDArray[np.int16]
"""(rows, 2): each chip's column and row, counted in chips."""


@dataclass(frozen=True, kw_only=True)
class ColumnRows:
    """What a file holds."""

    vectors: Vectors
    chips: Chips
    outcomes: str | None
    """One letter a chip, as in the footer; None where the file has none (v002)."""


def read_column(published: Published, column: int) -> ColumnRows:
    """Read and verify a column's file; InvalidFileError where it is not the one that the manifest names."""
    file = published.columns[column]
    where = published.storage.where(file.key)
    data = published.storage.get(file.key).data
    if file.is_sha256 and hashlib.sha256(data).hexdigest() != file.identity:
        raise InvalidFileError(f"{where} is not the file that the manifest names: finalize the run again, then start again")
    try:
        parquet = pq.ParquetFile(pa.BufferReader(data))
        names = ["embeddings", "chip_id" if file.is_sha256 else "geometry"]
        table = parquet.read(columns=names)
        footer = json.loads((parquet.schema_arrow.metadata or {}).get(FOOTER_KEY, b"{}"))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise InvalidFileError(f"{where} is unreadable ({' '.join(str(error).split())[:200]}): embed the column again") from error
    if table.num_rows == 0:
        vectors, chips = np.empty((0, published.recipe.width), np.float32), np.empty((0, 2), np.int16)
    else:
        vectors = np.asarray(table["embeddings"].combine_chunks().flatten(), np.float32)
        if vectors.size != table.num_rows * published.recipe.width:
            raise InvalidFileError(f"{where} holds no embeddings of {published.recipe.width} numbers: check --recipe")
        vectors = vectors.reshape(table.num_rows, published.recipe.width)
        chips = _chips_of_ids(table["chip_id"]) if file.is_sha256 else _chips_of_boxes(table["geometry"], published.recipe.chip_pixels)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    usable = np.isfinite(lengths) & (lengths > 0)  # finalize has checked ours; of the v002 files nobody says
    vectors = vectors / np.where(usable, lengths, 1).astype(np.float32)[:, None]
    if not usable.all():
        vectors, chips = vectors[usable], chips[usable]
    return ColumnRows(vectors=np.ascontiguousarray(vectors), chips=chips, outcomes=footer.get("outcomes"))


def _chips_of_ids(ids: pa.ChunkedArray) -> Chips:
    """Of ids such as c1155r0287."""
    letters = np.array(ids.to_pylist(), "S10").view(np.uint8).reshape(-1, 10)
    digits = letters[:, [[1, 2, 3, 4], [6, 7, 8, 9]]].astype(np.int16) - ord("0")
    chips: Chips = (digits * np.array([1000, 100, 10, 1], np.int16)).sum(axis=2).astype(np.int16)
    return chips


def _chips_of_boxes(boxes: pa.ChunkedArray, pixels: int) -> Chips:
    """Of the chips' boxes, by their north-west corners."""
    import shapely  # noqa: PLC0415 - for the v002 files alone

    bounds = shapely.bounds(shapely.from_wkb(boxes.to_numpy()))
    corners = np.stack([bounds[:, 0] - WEST, NORTH - bounds[:, 3]], axis=1) * TILE_PIXELS / pixels
    chips: Chips = np.rint(corners).astype(np.int16)
    return chips
