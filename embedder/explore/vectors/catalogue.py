"""What can be searched: the columns that a manifest publishes, or the files of the published v002 run."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from embedder.errors import ConfigurationError, EmbedderError
from embedder.grid import COLUMN_COUNT, VERSIONS
from embedder.output.manifest import find_manifest
from embedder.output.receipt import Receipt
from embedder.output.run import Run, RunPlace
from embedder.output.whereabouts import advice
from embedder.recipes import RECIPES, Recipe
from embedder.storage import Storage

V002 = replace(RECIPES["clay-v0.1-published"], name="v002")
"""The embeddings that Clay published in 2024: files without a manifest, a run record or outcomes."""
V002_WARNING = (
    "the v002 embeddings were made from raw pixels without normalisation, with one location for all chips, and with NIR at a position that "
    "the model was not trained with: distances between them are not those of clay-v0.1"
)
EXPLORABLE = RECIPES | {V002.name: V002}
"""Whatever can be searched, by the name that --recipe takes."""


@dataclass(frozen=True, kw_only=True)
class ColumnFile:
    """A column's file, and what tells it from another that had its name before."""

    key: str
    identity: str
    """SHA-256 where a manifest says it, otherwise the storage's version."""
    is_sha256: bool


@dataclass(frozen=True, kw_only=True)
class Published:
    """The columns of one recipe and year that may be searched."""

    storage: Storage
    recipe: Recipe
    year: int
    digest: str
    """Of the configuration; other files of another digest are not comparable."""
    columns: dict[int, ColumnFile] = field(repr=False)
    warning: str | None
    """What a person has to know about these embeddings."""
    run: Run | None = field(repr=False)
    """Where the tiles are; the v002 files do not say."""
    receipt: tuple[Receipt, ...] = ()
    """What the columns cost, as the manifest says it."""


def published_years(storage: Storage, recipe: Recipe, years: Sequence[int] = ()) -> list[Published]:
    """What is published under an output, of the years asked for or of all; ConfigurationError where one of them is not."""
    found = {year: _find(storage, recipe, year) for year in years or VERSIONS}
    missing = [year for year, published in found.items() if published is None]
    if missing and (years or len(missing) == len(found)):
        where, names = storage.where(f"{recipe.name}/"), ", ".join(map(str, missing))
        other = advice(storage, recipe) or _v002_advice(storage)
        to_do = other or "check --output, --recipe and --year, or embed and finalize first (make demo)"
        raise ConfigurationError(f"nothing is published for {names} at {where}: {to_do}")
    return [published for published in found.values() if published]


def _v002_advice(storage: Storage) -> str | None:
    try:
        found = [f"{V002.name} {year}" for year in VERSIONS if _from_listing(storage, year)]
    except EmbedderError:  # not every place can be listed
        return None
    return f"there is {' and '.join(found)}: give that --recipe and year" if found else None


def _find(storage: Storage, recipe: Recipe, year: int) -> Published | None:
    return _from_listing(storage, year) if recipe is V002 else _from_manifest(storage, recipe, year)


def _from_manifest(storage: Storage, recipe: Recipe, year: int) -> Published | None:
    place = RunPlace(storage=storage, recipe=recipe, year=year)
    stored = find_manifest(place)
    if stored is None:
        return None
    manifest = stored.manifest
    columns = {
        column: ColumnFile(key=place.prefix + entry.file, identity=entry.sha256, is_sha256=True)
        for column, entry in manifest.columns.items()
    }
    return Published(
        storage=storage,
        recipe=recipe,
        year=year,
        digest=manifest.config_digest,
        columns=columns,
        warning=manifest.warning,
        run=place.find(),
        receipt=manifest.receipt,
    )


def _from_listing(storage: Storage, year: int) -> Published | None:
    """The v002 files, below the output's own root or its folder v002/: their names are all there is to go by."""
    for prefix in (f"v002/{year}/", f"{year}/"):
        columns = {}
        for listed in storage.list(prefix):
            match = re.fullmatch(rf"{prefix}worldcover_embeddings_{year}_(\d{{1,4}})_v002\.gpq", listed.key)
            if match and int(match[1]) < COLUMN_COUNT:
                columns[int(match[1])] = ColumnFile(key=listed.key, identity=listed.version, is_sha256=False)
        if columns:
            columns = dict(sorted(columns.items()))
            return Published(storage=storage, recipe=V002, year=year, digest="v002", columns=columns, warning=V002_WARNING, run=None)
    return None
