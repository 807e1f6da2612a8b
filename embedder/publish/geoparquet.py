"""One file of the data set: the columns of a band in spatial order, a row group for each cell."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embedder.output.chip_ids import chips_of_ids
from embedder.output.column_file import FOOTER_KEY
from embedder.publish.layout import spatial_order

EMBEDDINGS = "embeddings"
BBOX = ("xmin", "ymin", "xmax", "ymax")
ALL_DIFFERENT = ("chip_id", "geometry")
"""Columns in which no value repeats, beside the embeddings."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """What a file will hold."""

    table: pa.Table
    """Its rows, in their final order."""
    row_groups: NDArray[np.int64]
    """How many rows are in each cell."""
    bounds: tuple[float, float, float, float]
    """West, south, east, north of all rows, degrees."""


def arrange(tables: Iterable[pa.Table], chip_pixels: int) -> Band:
    """Columns' rows in spatial order. All of them are in memory, twice for a while."""
    table = pa.concat_tables(tables).combine_chunks()
    order, counts = spatial_order(chips_of_ids(table["chip_id"]), chip_pixels)
    table = table.take(pa.array(order)).combine_chunks()
    boxes = table["bbox"].combine_chunks()
    west, south, east, north = (np.asarray(boxes.field(name)) for name in BBOX)
    bounds = float(west.min()), float(south.min()), float(east.max()), float(north.max())
    return Band(table=table, row_groups=counts, bounds=bounds)


def with_codes(table: pa.Table, codes: NDArray[np.int8]) -> pa.Table:
    """The table with codes, (rows, width), in place of its embeddings."""
    place = table.schema.get_field_index(EMBEDDINGS)
    field = pa.field(EMBEDDINGS, pa.list_(pa.field("element", pa.int8(), nullable=False), codes.shape[1]), nullable=False)
    array = pa.FixedSizeListArray.from_arrays(pa.array(codes.ravel()), type=field.type)
    return table.set_column(place, field, array)


def vectors_of(table: pa.Table) -> NDArray[Any]:
    """The embeddings, (rows, width)."""
    lists = table[EMBEDDINGS].combine_chunks()
    return np.asarray(lists.flatten()).reshape(table.num_rows, lists.type.list_size)


def write(path: Path, band: Band, footer: Mapping[str, Any], emb: Mapping[str, Any]) -> None:
    """Write the file. `footer` is our own key's, `emb` what geoembeddings.org's says."""
    geo = json.loads(band.table.schema.metadata[b"geo"])
    geo["columns"][geo["primary_column"]]["bbox"] = band.bounds  # of all rows: the first file's own would lie
    metadata = {b"geo": geo, b"emb": emb, FOOTER_KEY: footer}
    schema = band.table.schema.with_metadata({key: json.dumps(value) for key, value in metadata.items()})
    leaves = _leaves(schema)
    vectors = [leaf for leaf in leaves if leaf.partition(".")[0] == EMBEDDINGS]
    as_floats = pa.types.is_floating(schema.field(EMBEDDINGS).type.value_type)
    settings: dict[str, Any] = {
        "compression": "zstd",
        # Codes are whole numbers of 32 bits to Parquet: by a dictionary of all 255 they take a byte each.
        "use_dictionary": [leaf for leaf in leaves if leaf not in (*ALL_DIFFERENT, *(vectors if as_floats else ()))],
        "write_statistics": [leaf for leaf in leaves if leaf not in (*vectors, "geometry")],
        "write_page_checksum": True,
    }
    with pq.ParquetWriter(path, schema, **settings) as writer:
        start = 0
        for rows in band.row_groups.tolist():
            writer.write_table(band.table.slice(start, rows), row_group_size=rows)
            start += rows


def _leaves(schema: pa.Schema) -> list[str]:
    """The paths of the columns that Parquet makes of these."""
    out = BytesIO()
    pq.write_table(schema.empty_table(), out)
    parquet = pq.ParquetFile(out).schema
    return [parquet.column(place).path for place in range(len(parquet.names))]
