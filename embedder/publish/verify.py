"""Verify: whether a copy of a data set, wherever it is, is whole and holds what it says. Reads all of it, a row group at a time."""

import hashlib
import json
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, NotFoundError
from embedder.grid import COLUMN_PIXELS, HEIGHT_PIXELS, NORTH, TILE_PIXELS, VERSIONS, WEST, parse_columns
from embedder.output.chip_ids import Chips, chips_of_ids
from embedder.output.column_file import polygons
from embedder.output.fields import parse_json
from embedder.output.manifest import Manifest
from embedder.publish import stac
from embedder.publish.dataset import COLLECTION, SUMS
from embedder.publish.geoparquet import BBOX, vectors_of
from embedder.publish.record import FORMS, Part, Record, record_key
from embedder.publish.stac_check import fault
from embedder.recipes import RECIPES, Recipe
from embedder.storage import Storage
from embedder.storage.base import check_key
from embedder.storage.scratch import scratch_folder


@dataclass(kw_only=True)
class Verified:
    """What was found."""

    files: int = 0
    bytes: int = 0
    chips: dict[str, int] = field(default_factory=dict)
    """By form and year."""
    faults: list[str] = field(default_factory=list)
    """What is wrong, and where."""


class _WrongError(Exception):
    """What is wrong with a file."""


def verify(storage: Storage, progress: Progress) -> Verified:
    """Read all that the sums name. ConfigurationError where there are no sums: it is no data set."""
    found = Verified()
    sums = _sums(storage)
    checker = _Checker(storage, sums, found)
    columns_of = {key: _columns(part) for key, (_, part) in checker.parts.items()}
    with progress.task("verify", columns=sum(map(len, columns_of.values()))), scratch_folder() as scratch:
        for key in sums:
            with _said(found, key):
                path = storage.local_path(key, scratch)
                found.files, found.bytes = found.files + 1, found.bytes + path.stat().st_size
                checker.check(key, path)
            (scratch / Path(key).name).unlink(missing_ok=True)
            for _ in columns_of.get(key, ()):
                progress.column_done()
        checker.check_whole()
    return found


class _Checker:
    """Knows what the files say of one another."""

    def __init__(self, storage: Storage, sums: dict[str, str], found: Verified) -> None:
        self.storage, self.sums, self.found = storage, sums, found
        self.records = {record.folder: record for record in _records(storage, sums, found)}
        self.parts = {record.folder + part.file: (record, part) for record in self.records.values() for part in record.parts}
        self.items: set[str] = set()

    def check(self, key: str, path: Path) -> None:
        """One file; _WrongError says what is wrong with it."""
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sums[key]:
                raise _WrongError("its SHA-256 is not that of SHA256SUMS")
        if key in self.parts:
            record, part = self.parts[key]
            if part.sha256 != self.sums[key] or part.bytes != path.stat().st_size:
                raise _WrongError("its record says another SHA-256 or size")
            if record.form == "zarr":
                self._check_zarr(path, record, part)
            else:
                _check_parquet(path, record, part)
        elif key == COLLECTION:
            self._check_collection(_json(path))

    def _check_zarr(self, path: Path, record: Record, part: Part) -> None:
        """A strip of embeddings with its outcomes, or, once, what makes a store of the strips."""
        from embedder.publish import zarr_store  # noqa: PLC0415 - other forms need no Zarr

        recipe = _recipe(record)
        store, _, name = part.file.partition("/")
        if name == "zarr.json":
            names = [each.file.removeprefix(f"{store}/") for each in record.parts]
            small = {name: self.storage.get(f"{record.folder}{store}/{name}").data for name in names if not zarr_store.is_of_a_strip(name)}
            if wrong := zarr_store.store_fault(small, recipe, record.year):
                raise _WrongError(wrong)
        elif name.startswith(f"{zarr_store.EMBEDDINGS}/c/"):
            strip = int(name.rpartition("/")[2])
            embeddings, outcome = zarr_store.keys_of(strip)
            objects = {embeddings: path.read_bytes(), outcome: self.storage.get(f"{record.folder}{store}/{outcome}").data}
            try:
                vectors, outcomes = zarr_store.read_strip(objects, strip, recipe)
            except (ValueError, RuntimeError, KeyError) as error:
                raise _WrongError(f"unreadable: {' '.join(str(error).split())[:200]}") from error
            wrong = zarr_store.strip_fault(vectors, outcomes, part.rows)
            if wrong:
                raise _WrongError(wrong)

    def check_whole(self) -> None:
        """What no file shows by itself: each year's count, and that each file has its item."""
        for record in self.records.values():
            with _said(self.found, record_key(record.form, record.year)):
                self._check_record(record)
        for key, (record, part) in self.parts.items():
            shown = part if record.form != "zarr" else stac.store(record)
            if stac.item_key(record, shown) not in self.items:
                self.found.faults.append(f"{key}: {COLLECTION} has no item of it")

    def _check_record(self, record: Record) -> None:
        manifest = self._manifest(record)
        columns: list[int] = []
        for part in record.parts:
            own = _columns(part)
            columns += own
            rows = sum(manifest.columns[column].rows for column in own if column in manifest.columns)
            if rows != part.rows:
                raise _WrongError(f"{part.file} is said to hold {part.rows} chips, the run's manifest has {rows} in its columns")
        wanted = [column for column, entry in manifest.columns.items() if entry.rows]
        if sorted(column for column in columns if column in manifest.columns and manifest.columns[column].rows) != sorted(wanted):
            raise _WrongError("its files' columns are not those of the run's manifest, each once")
        self.found.chips[f"{record.form} {record.year}"] = sum(part.rows for part in record.parts)

    def _manifest(self, record: Record) -> Manifest:
        key = stac.provenance(record.year, "manifest")
        if key not in self.sums:
            raise _WrongError(f"{key} is not in {SUMS}")
        manifest = Manifest.from_json(self.storage.get(key).data, self.storage.where(key))
        if (manifest.recipe, manifest.config_digest) != (record.recipe, record.config_digest):
            raise _WrongError(f"{key} is another run's")
        return manifest

    def _check_collection(self, collection: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
        if wrong := fault(collection):
            raise _WrongError(wrong)
        for link in collection["links"]:
            if link["rel"] == "item":
                key = posixpath.normpath(link["href"])
                with _said(self.found, key):
                    self._check_item(key, collection["id"])

    def _check_item(self, key: str, collection: str) -> None:
        if key not in self.sums:
            raise _WrongError(f"{COLLECTION} links to it, and it is not in {SUMS}")
        item = parse_json(self.storage.get(key).data)
        if wrong := fault(item):
            raise _WrongError(wrong)
        if item.get("collection") != collection:
            raise _WrongError(f"it is an item of {item.get('collection')!s:.100}, not of {collection}")
        asset = item["assets"].get("embeddings")
        if asset is None:
            raise _WrongError("it has no asset embeddings")
        file = posixpath.normpath(posixpath.join(posixpath.dirname(key), asset["href"]))
        if "file:checksum" in asset and asset["file:checksum"] != f"1220{self.sums.get(file)}":
            raise _WrongError(f"its file:checksum is not that of {file} in {SUMS}")
        if file not in self.sums and not any(name.startswith(f"{file}/") for name in self.sums):
            raise _WrongError(f"its file {file} is not in {SUMS}")
        self.items.add(key)


def _check_parquet(path: Path, record: Record, part: Part) -> None:
    """Count, finite values and grid, of every row."""
    recipe = _recipe(record)
    own = np.array(_columns(part))
    seen: list[NDArray[np.int64]] = []
    try:
        parquet = pq.ParquetFile(path, page_checksum_verification=True)
        emb = parse_json((parquet.schema_arrow.metadata or {})[b"emb"])
        if parquet.metadata.num_rows != part.rows:
            raise _WrongError(f"it holds {parquet.metadata.num_rows} chips, not {part.rows}")
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group)
            if any(table[name].null_count for name in table.column_names):
                raise _WrongError("a value is null")
            chips = chips_of_ids(table["chip_id"])
            _check_vectors(table, recipe, record)
            _check_boxes(table, chips, recipe)
            across, down = COLUMN_PIXELS // recipe.chip_pixels, HEIGHT_PIXELS // recipe.chip_pixels
            if not np.isin(chips[:, 0] // across, own).all() or (chips[:, 1] >= down).any():
                raise _WrongError(f"a chip is not of columns {part.columns}")
            seen.append(chips[:, 0].astype(np.int64) << 16 | chips[:, 1])
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise _WrongError(f"unreadable: {' '.join(str(error).split())[:200]}") from error
    if len(np.unique(np.concatenate(seen))) < part.rows:
        raise _WrongError("a chip is in it twice")
    if record.quantisation and {name: emb["properties"]["emb:quantization"][name] for name in ("scale", "offset")} != {
        name: record.quantisation[name] for name in ("scale", "offset")
    }:
        raise _WrongError("its scale and offset are not those of its record")


def _check_vectors(table: pa.Table, recipe: Recipe, record: Record) -> None:
    vectors = vectors_of(table)
    if vectors.shape[1] != recipe.width or str(vectors.dtype) != stac.DATA_TYPE[record.form]:
        raise _WrongError(f"its embeddings are {vectors.shape[1]} numbers of {vectors.dtype}")
    if record.form == "int8":
        return
    for what, wrong in (("NaN or infinite", ~np.isfinite(vectors).all(axis=1)), ("zero", ~vectors.any(axis=1))):
        if wrong.any():
            raise _WrongError(f"{what} vector at chip {table['chip_id'][int(wrong.argmax())]}")


def _check_boxes(table: pa.Table, chips: Chips, recipe: Recipe) -> None:
    step = recipe.chip_pixels / TILE_PIXELS
    west, north = WEST + chips[:, 0] * step, NORTH - chips[:, 1] * step
    bounds = np.stack([west, north - step, west + step, north], axis=1)
    boxes = table["bbox"].combine_chunks()
    said = np.stack([np.asarray(boxes.field(name)) for name in BBOX], axis=1)
    wrong = np.abs(said - bounds).max(axis=1) > 1e-9  # noqa: PLR2004 - degrees: rounding
    wrong |= np.array([wkb != right for wkb, right in zip(table["geometry"].to_pylist(), polygons(said), strict=True)], bool)
    if wrong.any():
        raise _WrongError(f"off the grid: the box of chip {table['chip_id'][int(wrong.argmax())]} is not its own")


def _sums(storage: Storage) -> dict[str, str]:
    where = storage.where(SUMS)
    try:
        lines = storage.get(SUMS).data.decode().splitlines()
    except NotFoundError as error:
        raise ConfigurationError(f"{where} does not exist: give the folder that `embedder publish` made, or finish publishing") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{where} is not UTF-8: copy it again") from error
    sums: dict[str, str] = {}
    for line in lines:
        match = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
        try:
            sums[check_key(match[2] if match else "")] = match[1] if match else ""
        except ValueError as error:
            raise ConfigurationError(f"{where}: {line[:100]!r} is no sum of a file: copy it again") from error
    return sums


def _records(storage: Storage, sums: dict[str, str], found: Verified) -> list[Record]:
    """Those that the sums name and that can be read."""
    records = []
    for key in (record_key(form, year) for year in VERSIONS for form in FORMS):
        if key in sums:
            with _said(found, key):
                records.append(Record.from_json(storage.get(key).data, key))
    return records


def _columns(part: Part) -> list[int]:
    try:
        return parse_columns(part.columns) if part.columns else []
    except ValueError:
        return []


def _recipe(record: Record) -> Recipe:
    if record.recipe not in RECIPES:
        raise _WrongError(f"its recipe {record.recipe:.100} is not one of this version's")
    return RECIPES[record.recipe]


def _json(path: Path) -> Any:  # noqa: ANN401 - whatever JSON can hold
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise _WrongError("it is no JSON") from error


@contextmanager
def _said(found: Verified, key: str) -> Iterator[None]:
    """What is wrong is noted, and the next file looked at."""
    try:
        yield
    except NotFoundError:
        found.faults.append(f"{key}: it is not there")
    except (_WrongError, ConfigurationError, ValueError) as error:
        found.faults.append(f"{key}: {error}")
