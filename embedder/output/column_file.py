"""A column's GeoParquet file: made from outcomes and embeddings, and checked, as a whole, against the grid and its run."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embedder import __version__
from embedder.errors import InvalidFileError
from embedder.grid import Chip, column_chips, column_window, tile_windows
from embedder.output.credits import attribution_of, license_of
from embedder.output.fields import parse_json
from embedder.output.receipt import Receipt
from embedder.output.run import Run
from embedder.output.stac import column_item
from embedder.output.times import first_second, is_rfc3339, last_second, middle, to_rfc3339
from embedder.output.vectors import Fingerprints, Lengths, fingerprints, lengths

FOOTER_KEY = b"worldcover_embeddings"
EMB_KEY = b"emb"
"""Footer key of the file as a STAC Item, as geoembeddings.org has it."""
SEAL_KEY = b"worldcover_embeddings_sha256"
"""Footer key of the SHA-256 of the whole file, in which UNSEALED then stands in its place."""
UNSEALED = b"-" * 64
OUTCOMES = {"e": "embedded", "n": "nodata", "t": "no tile", "o": "outside"}
"""One letter for each chip, and what it says; `o`, outside the area that the run was given, goes before the others."""


@dataclass(frozen=True, kw_only=True)
class CheckedColumn:
    """What is known of a file once it has been found valid."""

    column: int
    outcomes: str
    """One letter a chip, north to south, then west to east."""
    footer: dict[str, Any]
    size: int
    """Bytes."""
    sha256: str
    receipt: Receipt | None = None
    """What it cost; None in a file from before there were receipts."""
    lengths: Lengths = field(default_factory=lambda: np.empty(0, np.float32), repr=False, compare=False)
    """Of the embeddings, in the order of the rows."""
    fingerprints: Fingerprints = field(default_factory=lambda: np.empty(0, np.uint64), repr=False, compare=False)
    """Of the embeddings: the same where all their bytes are."""

    @property
    def rows(self) -> int:
        """Chips with an embedding."""
        return self.outcomes.count("e")


def count_outcomes(run: Run, columns: Iterable[CheckedColumn]) -> dict[str, int]:
    """Chips of all columns, by what their outcomes say; those outside only where the run has an area."""
    letters = Counter("".join(column.outcomes for column in columns))
    return {name: letters[letter] for letter, name in OUTCOMES.items() if letter != "o" or run.area}


def schema(
    run: Run,
    column: int,
    outcomes: str,
    *,
    device: str | None,
    precision: str | None,
    receipt: Receipt | None = None,
    inferred: datetime | None = None,
    name: str | None = None,
) -> pa.Schema:
    """The columns of the file, with GeoParquet's, STAC's and our own metadata in the footer."""
    element = pa.field("element", pa.float32(), nullable=False)
    types = {
        "chip_id": pa.string(),
        "embeddings": pa.list_(element, run.recipe.width),
        "geometry": pa.binary(),
        "bbox": pa.struct([pa.field(name, pa.float64(), nullable=False) for name in _BBOX]),
        **{name: type_ for name, (type_, _) in _times(run).items()},
    }
    tiles = {tile.name: run.inventory[tile].etag for tile in tile_windows(column_window(column)) if tile in run.inventory}
    footer = {
        "format": run.column_format,
        "recipe": run.recipe.name,
        "year": run.year,
        "column": column,
        "config_digest": run.config_digest,
        "weights": run.weights,
        "weights_sha256": run.weights_sha256,
        "checkpoint_sha256": run.checkpoint_sha256,
        "outcomes": outcomes,
        "tiles": tiles,
        "package_version": __version__,
        "device": device,
        "precision": precision,
    }
    if run.warning:
        footer["warning"] = run.warning
    if receipt:
        footer["receipt"] = receipt.to_record()
    chips = embedded_chips(run, column, outcomes)
    metadata = {b"geo": geo_metadata(chips), FOOTER_KEY: footer}
    if run.column_format > 1:
        footer |= {"license": license_of(run), "attribution": attribution_of(run)}
        if inferred:
            footer["inferred_at"] = to_rfc3339(inferred)
        metadata[EMB_KEY] = column_item(
            run, column, chips, device=device, precision=precision, inferred=inferred, receipt=receipt, name=name
        )
    fields = [pa.field(name, type_, nullable=False) for name, type_ in types.items()]
    return pa.schema(fields, metadata={key: json.dumps(value).encode() for key, value in metadata.items()})


def _times(run: Run) -> dict[str, tuple[pa.DataType, Any]]:
    """The columns that say when, each with its type and the value that all rows have."""
    timestamp = pa.timestamp("ms", tz="UTC")
    added = {} if run.column_format == 1 else {"year": (pa.int16(), run.year), "datetime": (timestamp, middle(run.year))}
    return added | {"datetime_start": (timestamp, first_second(run.year)), "datetime_end": (timestamp, last_second(run.year))}


def embedded_chips(run: Run, column: int, outcomes: str) -> list[Chip]:
    """The chips with an embedding, in the order of the rows."""
    return [chip for chip, outcome in zip(column_chips(column, run.recipe.chip_pixels), outcomes, strict=True) if outcome == "e"]


def write(
    run: Run,
    column: int,
    outcomes: str,
    embeddings: NDArray[np.float32],
    *,
    device: str | None,
    precision: str | None,
    receipt: Receipt | None = None,
    inferred: datetime | None = None,
    name: str | None = None,
) -> bytes:
    """The file's bytes. `embeddings` is (rows, width), one row for each `e` of the outcomes, in their order.

    `inferred` is when they were computed, and `name` what the file will be called, where that is not what the first one is.
    """
    chips = embedded_chips(run, column, outcomes)
    bounds = np.array([_box(chip) for chip in chips]).reshape(len(chips), 4)
    file_schema = schema(run, column, outcomes, device=device, precision=precision, receipt=receipt, inferred=inferred, name=name)
    times = _times(run)
    arrays = [
        pa.array([chip.id for chip in chips], pa.string()),
        pa.FixedSizeListArray.from_arrays(pa.array(embeddings.ravel()), type=file_schema.field("embeddings").type),
        pa.array(polygons(bounds), pa.binary()),
        pa.StructArray.from_arrays([pa.array(values) for values in bounds.T], fields=list(file_schema.field("bbox").type)),
        *(pa.array([value] * len(chips), type_) for type_, value in times.values()),
    ]
    out = io.BytesIO()
    table = pa.Table.from_arrays(arrays, schema=file_schema)
    settings = {"compression": "zstd", "use_dictionary": list(times), "write_page_checksum": True}
    with pq.ParquetWriter(out, file_schema, **settings) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({SEAL_KEY: UNSEALED})
    data = out.getvalue()
    return data.replace(UNSEALED, _seal(data), 1)


def check(data: bytes, run: Run, column: int) -> CheckedColumn:
    """What the file holds, every value of it read; InvalidFileError says what is wrong with it."""
    try:
        parquet = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        footer = parse_json(parquet.schema_arrow.metadata[FOOTER_KEY])
        table = parquet.read()
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidFileError(f"unreadable: {' '.join(str(error).split())[:200]}") from error
    chips = column_chips(column, run.recipe.chip_pixels)
    promised = {
        "format": run.column_format,
        "column": column,
        "recipe": run.recipe.name,
        "year": run.year,
        "config_digest": run.config_digest,
    }
    for name, value in promised.items():
        if not isinstance(footer, dict) or footer.get(name) != value:
            found = footer.get(name) if isinstance(footer, dict) else None
            raise InvalidFileError(f"of another run: its {name} is {found!s:.100}, not {value}")
    outcomes = footer.get("outcomes")
    if not isinstance(outcomes, str) or len(outcomes) != len(chips) or set(outcomes) - set(OUTCOMES):
        raise InvalidFileError(f"wrong count: its outcomes are not one of e, n, t, o for each of {len(chips)} chips")
    for chip, outcome, letter in zip(chips, outcomes, run.foreseen(column), strict=True):
        if outcome != letter and outcome + letter != "ne":
            knows = "area" if "o" in outcome + letter else "inventory"
            raise InvalidFileError(f"its outcomes say {OUTCOMES[outcome]} of chip {chip.id}, the {knows} says otherwise")
    receipt = _receipt_of(footer)
    _check_inferred_at(footer)
    try:
        embeddings = _check_rows(table, run, column, outcomes)
    except (pa.ArrowException, ValueError, TypeError) as error:  # what nobody writes, such as a name that is not UTF-8
        raise InvalidFileError(f"unreadable: {' '.join(str(error).split())[:200]}") from error
    # Parquet's own checksums leave out its headers and footer, a fifth of a small file.
    seal = parquet.metadata.metadata.get(SEAL_KEY)
    if seal is None:
        raise InvalidFileError("of another form: it holds no SHA-256 of itself")
    if _seal(data.replace(seal, UNSEALED, 1)) != seal:
        raise InvalidFileError("damaged: its bytes do not match the SHA-256 that it holds")
    sha256 = hashlib.sha256(data).hexdigest()
    return CheckedColumn(
        column=column,
        outcomes=outcomes,
        footer=footer,
        size=len(data),
        sha256=sha256,
        receipt=receipt,
        lengths=lengths(embeddings),
        fingerprints=fingerprints(embeddings),
    )


def _receipt_of(footer: dict[str, Any]) -> Receipt | None:
    try:
        return Receipt.from_record(footer["receipt"]) if "receipt" in footer else None
    except (ValueError, TypeError) as error:
        raise InvalidFileError(f"of another form: its receipt is none ({error!s:.200})") from error


def _check_inferred_at(footer: dict[str, Any]) -> None:
    if "inferred_at" in footer and not is_rfc3339(footer["inferred_at"]):
        raise InvalidFileError(f"of another form: {footer['inferred_at']!s:.100}, when it was inferred, is no time")


def _seal(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


_BBOX = ("xmin", "ymin", "xmax", "ymax")


def _check_rows(table: pa.Table, run: Run, column: int, outcomes: str) -> NDArray[np.float32]:
    """The embeddings, (rows, width), once every row has been found right."""
    chips = embedded_chips(run, column, outcomes)
    expected = schema(run, column, outcomes, device=None, precision=None)
    if not table.schema.equals(expected):
        raise InvalidFileError("of another form: its columns or their types are not those of this version")
    if table.num_rows != len(chips):
        raise InvalidFileError(f"wrong count: {table.num_rows} rows for {len(chips)} embedded chips")
    if table["chip_id"].to_pylist() != [chip.id for chip in chips]:
        raise InvalidFileError("bounds off the grid: its chip ids are not those of its outcomes")
    for name, (type_, value) in _times(run).items():
        if not table[name].combine_chunks().equals(pa.array([value] * len(chips), type_)):
            raise InvalidFileError(f"of another run: its {name} is not that of {run.year}")
    bounds = np.array([_box(chip) for chip in chips]).reshape(len(chips), 4)
    bbox = table["bbox"].combine_chunks()
    found = np.stack([np.asarray(bbox.field(name)) for name in _BBOX], axis=1)
    if not np.allclose(found, bounds, rtol=0, atol=1e-9) or table["geometry"].to_pylist() != polygons(bounds):
        raise InvalidFileError("bounds off the grid: a box is not its chip's")
    embeddings = np.asarray(table["embeddings"].combine_chunks().flatten()).reshape(len(chips), run.recipe.width)
    for what, wrong in (("NaN or infinite", ~np.isfinite(embeddings).all(axis=1)), ("zero", ~embeddings.any(axis=1))):
        if wrong.any():
            raise InvalidFileError(f"{what} vector at chip {chips[int(wrong.argmax())].id}")
    return embeddings


def _box(chip: Chip) -> tuple[float, float, float, float]:
    bounds = chip.bounds
    return bounds.west, bounds.south, bounds.east, bounds.north


def polygons(bounds: NDArray[np.float64]) -> list[bytes]:
    """Boxes, (rows, 4) of west, south, east, north, as WKB."""
    if not len(bounds):
        return []
    import shapely  # noqa: PLC0415  a column at sea needs none

    made: list[bytes] = shapely.to_wkb(shapely.box(*bounds.T), byte_order=1).tolist()
    return made


@cache
def _crs() -> dict[str, Any]:
    crs: dict[str, Any] = json.loads(files("embedder.output").joinpath("epsg_4326.json").read_text())
    return crs


def geo_metadata(chips: list[Chip]) -> dict[str, Any]:
    """GeoParquet's own metadata, version 1.1."""
    geometry: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": _crs(),
        "orientation": "counterclockwise",
        "edges": "planar",
        "covering": {"bbox": {name: ["bbox", name] for name in _BBOX}},
    }
    if chips:
        boxes = np.array([_box(chip) for chip in chips])
        geometry["bbox"] = [*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)]
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
