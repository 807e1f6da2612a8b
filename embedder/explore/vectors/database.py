"""The local cache of one recipe and year: unit vectors in one file, appended to and never rewritten, and a record of what they are.

A row counts once the record says so, and the record is replaced as a whole: whatever is killed when, the next start cuts off what lies
beyond it and goes on. A reader keeps the record that it has read: rows that it names never change.
What others do to the files is noticed: the record and the chips by their sums, the vectors by their lengths, which are 1.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import groupby, pairwise
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from embedder.errors import ConfigurationError
from embedder.explore.vectors.catalogue import Published
from embedder.explore.vectors.column_rows import ColumnRows, Vectors
from embedder.explore.vectors.index import cache_errors_at
from embedder.grid import Chip
from embedder.output.chip_ids import Chips
from embedder.recipes import Recipe
from embedder.storage import cache
from embedder.storage.base import os_errors_at

FORMAT = 2
"""Of the cache; one with another format is made anew."""
BLOCK_ROWS = 512
"""Read and multiplied at a time: 1.5 MB, which stay in a core's cache. Larger blocks take up to twice as long beside other load."""
SAMPLED_ROWS = 1_000
"""Whose lengths are looked at when a cache is opened: some 10 ms."""
TOLERANCE = 1e-3
"""Of a length: float32 is a thousand times as exact."""
KEY_BASE = 1 << 14
"""More than a column has rows of chips."""

Mask = NDArray[np.bool_]
"""(rows,): which rows are meant."""


@dataclass(frozen=True, kw_only=True)
class StoredColumn:
    """A column's rows in the cache."""

    identity: str
    start: int
    rows: int
    outcomes: str | None
    """Run-length text, `300t5e281n`; None where the file says nothing."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the cache holds."""

    digest: str
    rows: int = 0
    """Written, including those of files that have been replaced since."""
    columns: dict[int, StoredColumn] = field(default_factory=dict)
    chips_crc32: int = 0
    """Of the chips' file, as far as it counts."""


def folder_of(published: Published) -> Path:
    """Where a recipe and year of an output are kept."""
    name = f"{published.recipe.name}-{sha256(published.storage.url.encode()).hexdigest()[:12]}"
    return cache.made_folder() / "explore" / name / str(published.year)


class Database:
    """The rows that the record names. Safe to read from several threads, and while another process adds columns."""

    def __init__(self, folder: Path, recipe: Recipe, year: int, digest: str) -> None:
        self.folder, self.recipe, self.year, self._digest = folder, recipe, year, digest
        with os_errors_at(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
        self._vectors = self._chips_file = -1
        with cache_errors_at(folder):
            self.reload()

    def reload(self) -> None:
        """Take the record as it is now; where the files are not what it says, none of it counts, and `damage` says why."""
        self.record, self.damage = self._read_record()
        self.close()
        flags = os.O_RDWR | os.O_CREAT
        self._vectors = os.open(self.folder / "vectors.f32", flags, 0o644)
        self._chips_file = os.open(self.folder / "chips.i16", flags, 0o644)
        chips = os.pread(self._chips_file, self.rows * 4, 0)
        self.damage = self.damage or self._damage_of_rows(chips)
        if self.damage:
            self.record, chips = Record(digest=self._digest), b""
        self.chips: Chips = np.frombuffer(chips, np.int16).reshape(-1, 2)
        self.live: Mask = np.zeros(self.rows, np.bool_)
        for column in self.record.columns.values():
            self.live[column.start : column.start + column.rows] = True
        keys = _keys(self.chips)
        order = np.argsort(keys, kind="stable")
        self._order = order[self.live[order]]
        self._sorted = keys[self._order]

    @property
    def rows(self) -> int:
        """Rows of the file, replaced ones included."""
        return self.record.rows

    @property
    def count(self) -> int:
        """Chips that can be searched."""
        return len(self._order)

    def chip(self, position: int) -> Chip:
        """The chip of a row."""
        column, row = self.chips[position].tolist()
        return Chip(column=column, row=row, pixels=self.recipe.chip_pixels)

    def position(self, chip: Chip) -> int | None:
        """The chip's row; None where it has no embedding here."""
        key = chip.column * KEY_BASE + chip.row
        index = int(np.searchsorted(self._sorted, key))
        return int(self._order[index]) if index < len(self._sorted) and self._sorted[index] == key else None

    def sorted_keys(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """A number for each live chip, ascending, the same in every year, and the chips' rows."""
        return self._sorted, self._order

    def vectors(self, positions: Sequence[int] | NDArray[np.integer]) -> Vectors:
        """The rows' vectors, in that order; rows that follow each other are read together. ConfigurationError where one is damaged."""
        places = np.asarray(positions, np.int64)
        out = np.empty((len(places), self.recipe.width), np.float32)
        edges = [0, *(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), len(places)] if len(places) else []
        for first, last in pairwise(edges):
            self._read(out[first:last], int(places[first]))
        if not _are_units(out):
            raise self._damaged()
        return out

    def check_scores(self, positions: NDArray[np.integer], scores: NDArray[np.float32]) -> None:
        """ConfigurationError where the rows' products with a vector of length 1 show that they are damaged, zeroed for one."""
        doubtful = positions[(scores == 0) | ~(np.abs(scores) <= 1 + TOLERANCE)]  # NaN is neither
        self.vectors(doubtful[:SAMPLED_ROWS])

    def blocks(self, mask: Mask) -> Iterator[tuple[int, Vectors]]:
        """The blocks of rows in which any is meant: the first row, and the vectors, which the next block overwrites.

        Read into one buffer, not mapped: a process then has no 2.4 GB of mapped pages to its name, and it takes no longer.
        """
        buffer = np.empty((BLOCK_ROWS, self.recipe.width), np.float32)
        for start in range(0, self.rows, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, self.rows)
            if mask[start:stop].any():
                self._read(buffer[: stop - start], start)
                yield start, buffer[: stop - start]

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """One process at a time adds columns; yields whether another one had to be waited for."""
        with cache_errors_at(self.folder):
            opened = (self.folder.parent / f"{self.year}.lock").open("w")
        with opened as lock:
            waited = False
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waited = True
                fcntl.flock(lock, fcntl.LOCK_EX)
            with cache_errors_at(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                self.reload()
            yield waited

    def cut(self) -> None:
        """Forget what was written beyond the record. Only with the lock."""
        os.ftruncate(self._vectors, self.rows * 4 * self.recipe.width)
        os.ftruncate(self._chips_file, self.rows * 4)

    def clear(self) -> None:
        """Start anew. Only with the lock; who still reads keeps the old file."""
        self.close()
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.reload()

    def append(self, added: dict[int, tuple[str, ColumnRows]]) -> None:
        """Add columns, each with its file's identity, or put them in the place of older ones. Only with the lock."""
        columns, rows, sum_of_chips = dict(self.record.columns), self.rows, self.record.chips_crc32
        for column, (identity, content) in added.items():
            _write(self._vectors, content.vectors, rows * 4 * self.recipe.width)
            _write(self._chips_file, content.chips, rows * 4)
            sum_of_chips = crc32(content.chips.tobytes(), sum_of_chips)
            outcomes = None if content.outcomes is None else _run_lengths(content.outcomes)
            columns[column] = StoredColumn(identity=identity, start=rows, rows=len(content.chips), outcomes=outcomes)
            rows += len(content.chips)
        os.fdatasync(self._vectors)
        os.fdatasync(self._chips_file)
        self.write_record(Record(digest=self._digest, rows=rows, columns=columns, chips_crc32=sum_of_chips))

    def write_record(self, record: Record) -> None:
        """Replace the record. Only with the lock."""
        draft = self.folder / "record.json.new"
        fields = {"format": FORMAT} | asdict(record)
        draft.write_text(json.dumps(fields | {"sha256": _sum(fields)}))
        draft.replace(self.folder / "record.json")
        self.record = record

    def outcome(self, chip: Chip, column: int, index: int) -> str | None:
        """The letter of a chip, the `index`th of its column; None where nothing is known of it."""
        stored = self.record.columns.get(column)
        if stored is None or stored.outcomes is None:
            return "e" if self.position(chip) is not None else None
        for length, letter in _runs(stored.outcomes):
            if index < length:
                return letter
            index -= length
        return None

    def close(self) -> None:
        """Close the files."""
        for file in (self._vectors, self._chips_file):
            if file >= 0:
                os.close(file)
        self._vectors = self._chips_file = -1

    def _read(self, into: Vectors, row: int) -> None:
        left, offset = into.data.cast("B") if into.size else memoryview(b""), row * 4 * self.recipe.width
        while left:
            read = os.preadv(self._vectors, [left], offset)  # 2 GiB at a time at most
            if not read:
                raise self._damaged()
            left, offset = left[read:], offset + read

    def _damaged(self) -> ConfigurationError:
        return ConfigurationError(f"the cache {self.folder} is damaged (vectors.f32): remove it, and start again")

    def _read_record(self) -> tuple[Record, str | None]:
        """The record, and what is wrong with it; an empty one where there is none, or one of another format."""
        empty = Record(digest=self._digest)
        try:
            found = json.loads((self.folder / "record.json").read_bytes())
            if found["format"] != FORMAT:
                return empty, None
            if found.pop("sha256") != _sum(found):
                return empty, "record.json was altered"
            del found["format"]
            columns = {int(column): StoredColumn(**stored) for column, stored in found.pop("columns").items()}
            return Record(**found, columns=columns), None
        except FileNotFoundError:
            return empty, None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return empty, "record.json is unreadable"

    def _damage_of_rows(self, chips: bytes) -> str | None:
        """What shows that the files do not hold the record's rows; None where nothing does."""
        if os.fstat(self._vectors).st_size < self.rows * 4 * self.recipe.width:
            return "vectors.f32 lacks rows"
        if crc32(chips) != self.record.chips_crc32:
            return "chips.i16 was altered"
        try:
            self.vectors(np.linspace(0, self.rows - 1, min(self.rows, SAMPLED_ROWS)).astype(np.int64))
        except ConfigurationError:
            return "vectors.f32 was altered"
        return None


def _are_units(vectors: Vectors) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return bool((np.abs(np.einsum("ij,ij->i", vectors, vectors) - 1) <= TOLERANCE).all())


def _sum(fields: object) -> str:
    return sha256(json.dumps(fields).encode()).hexdigest()


def _keys(chips: Chips) -> NDArray[np.int32]:
    keys: NDArray[np.int32] = chips[:, 0].astype(np.int32) * KEY_BASE + chips[:, 1]
    return keys


def _write(file: int, array: NDArray[np.generic], offset: int) -> None:
    data = np.ascontiguousarray(array).data.cast("B") if array.size else memoryview(b"")
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written


def _run_lengths(outcomes: str) -> str:
    return "".join(f"{sum(1 for _ in run)}{letter}" for letter, run in groupby(outcomes))


def _runs(text: str) -> Iterator[tuple[int, str]]:
    number = ""
    for character in text:
        if character.isdigit():
            number += character
        else:
            yield int(number), character
            number = ""
