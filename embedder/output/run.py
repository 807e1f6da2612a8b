"""The run record `_run.json`: what a recipe's year under one output is made from, so that nothing else gets mixed into it."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import uuid4

from embedder import __version__
from embedder.area import Area
from embedder.errors import ConfigurationError, ConflictError, NotFoundError
from embedder.grid import COLUMN_COUNT, VERSIONS, Tile, format_columns, parse_columns
from embedder.output.fields import Kind, check_fields, is_count, is_line, is_sha256, is_text, optional, parse_json
from embedder.output.formats import COLUMN_FILE, RUN_RECORD
from embedder.recipes import RECIPES, Precision, Recipe
from embedder.source.footprint import foreseen
from embedder.source.inventory import Inventory, TileFile
from embedder.storage import Storage

FORCED = "forced"
"""The folder below a run's own for columns embedded again: what is published there before stays as it is."""
FIELDS: dict[str, Kind] = {
    "column_format": is_count,
    "year": lambda value: type(value) is int and value in VERSIONS,
    "source": is_text,
    "weights": is_text,
    "seed": optional(is_count),
    "checkpoint_sha256": optional(is_sha256),
    "weights_sha256": is_sha256,
    "precision": lambda value: value in get_args(Precision),
}
"""What a record says beside recipe, inventory and columns, as a run holds it."""
FILE_FIELDS: dict[str, Kind] = {"etag": is_line, "size": is_count}
"""What it says of a tile."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What every step of a run agrees on."""

    format: int = RUN_RECORD.written
    """Of its record."""
    column_format: int = COLUMN_FILE.written
    """Of the columns' files."""
    recipe: Recipe
    year: int
    source: str
    """Where the tiles are read: a URL, or a folder's absolute path."""
    inventory: Inventory
    weights: str
    """Where plan took the checkpoint from."""
    seed: int | None = None
    """Of random weights, also where they come from a file."""
    checkpoint_sha256: str | None
    """Of the file at `weights`; None for random weights."""
    weights_sha256: str
    """Of the slim form that every embed step reads."""
    precision: Precision
    """As asked for: auto, fp32, bf16 or fp16."""
    columns: tuple[int, ...]
    """Every column that was ever planned under this output."""
    area: Area | None = None
    """What alone is read and embedded; None for the whole grid. The columns are among its own."""

    @property
    def config(self) -> dict[str, Any]:
        """What must be the same for all columns under one prefix. What is not set is left out, so that a new option orphans no run."""
        config = {
            "format": self.format,
            "column_format": None if self.format == 1 else self.column_format,  # 1 had one number for both
            "recipe": self.recipe.name,
            "year": self.year,
            "source": self.source,
            "weights_sha256": self.weights_sha256,
            "precision": self.precision,
            "area": str(self.area) if self.area else None,
            "inventory": {tile.name: file.etag for tile, file in sorted(self.inventory.items())},
        }
        return {name: value for name, value in config.items() if value is not None}

    @property
    def config_digest(self) -> str:
        """SHA-256 of the configuration."""
        return _sha256_of(self.config)

    @property
    def warning(self) -> str | None:
        """What everyone who sees the embeddings must know."""
        return None if self.seed is None else f"the weights are random:{self.seed}: these embeddings mean nothing"

    @property
    def whole(self) -> int:
        """How many columns there are to embed: of the grid, or of the area."""
        return len(self.area.columns) if self.area else COLUMN_COUNT

    def foreseen(self, column: int) -> str:
        """A letter for each chip of a column, as `footprint.foreseen` has it."""
        return foreseen(self.inventory, column, self.recipe.chip_pixels, self.area)

    def differences(self, other: "Run") -> list[str]:
        """The fields in which the two configurations differ, each with both values."""
        mine, others = self.config, other.config
        names = [name for name in mine | others if name != "inventory" and mine.get(name) != others.get(name)]
        lines = [f"{name} {others.get(name)} (now {mine.get(name)})" for name in names if name != "area"]
        if "area" in names:
            recorded, now = (run.area.describe() if run.area else "the whole grid" for run in (other, self))
            lines.append(f"area: {recorded} (now {now})")
        tiles = sorted(
            name for name in mine["inventory"] | others["inventory"] if mine["inventory"].get(name) != others["inventory"].get(name)
        )
        if tiles:
            lines.append(f"inventory (tile {tiles[0]}{f' and {len(tiles) - 1} more' if len(tiles) > 1 else ''} changed)")
        return lines

    def to_json(self) -> bytes:
        """The run record."""
        record: dict[str, Any] = self.config | {
            "config_digest": self.config_digest,
            "weights": self.weights,
            "seed": self.seed,
            "checkpoint_sha256": self.checkpoint_sha256,
            "columns": format_columns(self.columns),
            "package_version": __version__,
            "inventory": {tile.name: {"etag": file.etag, "size": file.size} for tile, file in sorted(self.inventory.items())},
        }
        if self.format > 1:
            record["record_sha256"] = _sha256_of(record)
        return json.dumps(record, indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes, where: str) -> "Run":
        """The run of a record; ConfigurationError where it is none that this version can read."""
        try:
            record = parse_json(data)
            RUN_RECORD.check(record["format"], where)
            run = cls(
                format=record["format"],
                column_format=record.get("column_format", 1),
                recipe=RECIPES[record["recipe"]],
                year=record["year"],
                source=record["source"],
                inventory={Tile.from_name(name): TileFile(**file) for name, file in record["inventory"].items()},
                weights=record["weights"],
                seed=record["seed"],
                checkpoint_sha256=record["checkpoint_sha256"],
                weights_sha256=record["weights_sha256"],
                precision=record["precision"],
                columns=tuple(parse_columns(record["columns"])),
                area=Area.parse(record["area"]) if "area" in record else None,
            )
            check_fields(vars(run), FIELDS)
            COLUMN_FILE.check(run.column_format, where)
            for file in run.inventory.values():
                check_fields(vars(file), FILE_FIELDS)
            sums = {"config digest": (record.get("config_digest"), run.config_digest)}
            if run.format > 1:
                sums["SHA-256"] = record.pop("record_sha256", None), _sha256_of(record)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigurationError(f"{where} is not a run record ({error!r:.200}): restore it, or use another --output") from error
        for name, (stored, computed) in sums.items():
            if stored != computed:
                raise ConfigurationError(f"{where} was altered: its {name} does not fit its content: restore it, or use another --output")
        return run


@dataclass(frozen=True, kw_only=True)
class RunPlace:
    """Where the files of one recipe and year lie below an output."""

    storage: Storage
    recipe: Recipe
    year: int

    @property
    def prefix(self) -> str:
        """The folder of this recipe and year."""
        return f"{self.recipe.name}/{self.year}/"

    @property
    def record_key(self) -> str:
        """The run record."""
        return f"{self.prefix}_run.json"

    @property
    def manifest_key(self) -> str:
        """The manifest."""
        return f"{self.prefix}_manifest.json"

    @property
    def coverage_key(self) -> str:
        """The picture of what was embedded."""
        return f"{self.prefix}_coverage.png"

    @property
    def forced_prefix(self) -> str:
        """The folder of what `--force` wrote."""
        return f"{self.prefix}{FORCED}/"

    @property
    def folders(self) -> tuple[str, ...]:
        """All that a run writes to."""
        return self.prefix, self.forced_prefix, f"{self.recipe.name}/_weights/"

    def column_key(self, column: int) -> str:
        """A column's file. Once it is valid, it is never written again."""
        return f"{self.prefix}{self._name(column)}.parquet"

    def new_forced_key(self, column: int) -> str:
        """One that nobody else has, for a column embedded again; later ones sort after it."""
        return f"{self.forced_prefix}{self._name(column)}_{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}_{uuid4().hex[:8]}.parquet"

    def column_of_forced(self, key: str) -> int | None:
        """The column that a key is one of `new_forced_key` of; None where it is none."""
        name = self._name(0).removesuffix("0000")
        match = re.fullmatch(rf"{re.escape(self.forced_prefix + name)}(\d{{4}})_\d{{8}}T\d{{12}}Z_[0-9a-f]{{8}}\.parquet", key)
        return int(match[1]) if match else None

    def _name(self, column: int) -> str:
        return column_name(self.year, column)

    def weights_key(self, sha256: str) -> str:
        """The encoder's weights in slim form."""
        return f"{self.recipe.name}/_weights/{sha256}.safetensors"

    def load(self) -> Run:
        """The run that was planned here; ConfigurationError where none was."""
        run = self.find()
        if run is None:
            raise ConfigurationError(f"no run at {self.storage.where(self.record_key)}: run `embedder plan` with these options first")
        return run

    def check_current(self, run: Run) -> None:
        """ConfigurationError where an older version planned the run: its files are read, and none of another form are put beside them."""
        if (run.format, run.column_format) != (RUN_RECORD.written, COLUMN_FILE.written):
            raise ConfigurationError(
                f"{self.storage.where(self.prefix)} holds a run of an older version (record format {run.format}, "
                f"column format {run.column_format}), which this one reads but does not extend: use another --output"
            )

    def find(self) -> Run | None:
        """The run that was planned here, if any."""
        try:
            data = self.storage.get(self.record_key).data
        except NotFoundError:
            return None
        return self._parse(data)

    def record(self, run: Run) -> Run:
        """Write the run record, or add the run's columns to the one that is there.

        Raises ConfigurationError, naming the fields, where it is another configuration's.
        """
        for _ in range(10):
            try:
                stored = self.storage.get(self.record_key)
            except NotFoundError:
                version, merged = None, run
            else:
                version, merged = stored.version, self.merge(run, self._parse(stored.data))
                if merged.to_json() == stored.data:
                    return merged
            try:
                self.storage.put(self.record_key, merged.to_json(), replaces=version)
            except ConflictError:
                continue  # another plan was faster: its record counts
            return merged
        raise ConflictError(f"{self.storage.where(self.record_key)} keeps being rewritten by others: try again when they are done")

    def merge(self, run: Run, recorded: Run) -> Run:
        """The recorded run with the columns of this one; ConfigurationError where it is another configuration's."""
        if differences := run.differences(recorded):
            raise ConfigurationError(
                f"{self.storage.where(self.prefix)} holds another run, which differs in {'; '.join(differences)}: "
                "use another --output, or give that run's options"
            )
        return Run(**vars(recorded) | {"columns": tuple(sorted({*recorded.columns, *run.columns}))})

    def _parse(self, data: bytes) -> Run:
        where = self.storage.where(self.record_key)
        run = Run.from_json(data, where)
        if (run.recipe, run.year) != (self.recipe, self.year):
            raise ConfigurationError(f"{where} is the record of {run.recipe.name} {run.year}: it was moved; restore it")
        return run


def column_name(year: int, column: int) -> str:
    """What the names of a column's files begin with; the first one's has no more than that."""
    return f"worldcover_embeddings_{year}_{column:04d}"


def _sha256_of(fields: dict[str, Any]) -> str:
    """Of what they say, in whatever order."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
