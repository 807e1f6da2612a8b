"""Finalize: read every file that must exist, and publish all of them, or none."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from embedder import __version__
from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, ConflictError, NotFoundError
from embedder.grid import COLUMN_COUNT, format_columns
from embedder.output.column_file import OUTCOMES, CheckedColumn
from embedder.output.coverage import draw_coverage
from embedder.output.run import Run, RunPlace
from embedder.steps.inspect import inspect_columns
from embedder.storage import ANY

FORMAT = 1
ADVICE = {"missing": "embed them", "invalid": "embed them", "unexpected": "remove what is unexpected"}
NAMED = 20
"""Columns named in an error before it only counts them."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a manifest says."""

    version: str | None
    """Of the manifest's file; None where nothing is published."""
    columns: dict[int, dict[str, Any]]
    data: bytes = b""
    """The file."""


def finalize(place: RunPlace, run: Run, columns: Sequence[int], progress: Progress) -> dict[str, Any]:
    """Check these columns and those published before, and write the manifest, which is returned.

    Raises ConfigurationError, naming what is wrong, and publishes nothing where a file is missing, invalid or unexpected.
    """
    for _ in range(10):
        published = read_manifest(place, run)
        required = sorted({*columns, *published.columns})
        checked = check_all(place, run, required, progress)
        if note := unlike(checked):
            progress.say(f"NOTE: {note}")
        manifest = make_manifest(place, run, checked)
        data = json.dumps(manifest, indent=1).encode() + b"\n"
        if data == published.data and any(place.storage.list(place.coverage_key)):
            return manifest
        place.storage.put(place.coverage_key, draw_coverage(run, checked), replaces=ANY)
        try:
            place.storage.put(place.manifest_key, data, replaces=published.version)
        except ConflictError:
            continue  # another finalize was faster: publish on top of its columns
        return manifest
    raise ConflictError(f"{place.storage.where(place.manifest_key)} keeps being rewritten by others: try again when they are done")


def check_all(place: RunPlace, run: Run, required: Sequence[int], progress: Progress) -> list[CheckedColumn]:
    """The required columns, all valid, and nothing beside them that this output does not know."""
    problems: dict[str, list[str]] = {}
    checked = []
    for column, (found, _) in zip(required, inspect_columns(place, run, required, progress), strict=True):
        if isinstance(found, CheckedColumn):
            checked.append(found)
        elif found is None:
            problems.setdefault("missing", []).append(str(column))
        else:
            problems.setdefault("invalid", []).append(f"{column} ({found})")
    if unexpected := unexpected_files(place, required):
        problems["unexpected"] = unexpected
    if problems:
        named = "; ".join(f"{len(names)} {what}: {_some(names, what)}" for what, names in problems.items())
        advice = " and ".join(dict.fromkeys(ADVICE[what] for what in problems))
        raise ConfigurationError(f"nothing new is published at {place.storage.where(place.prefix)}: {named}: {advice}, then finalize")
    return checked


def unlike(checked: Sequence[CheckedColumn]) -> str | None:
    """What to know where the columns were not all computed on one kind of device in one precision; None where they were."""
    kinds = Counter((column.footer.get("device"), column.footer.get("precision")) for column in checked if column.rows)
    if len(kinds) <= 1:
        return None
    named = ", ".join(f"{count} columns on {device} in {precision}" for (device, precision), count in kinds.most_common())
    return f"{named}: their embeddings differ by more than rounding does within a kind; --force on one kind of card makes them alike"


def unexpected_files(place: RunPlace, required: Sequence[int]) -> list[str]:
    """Names of the files that no plan for this output has announced."""
    keys = [listed.key for listed in place.storage.list(place.prefix)]
    planned = place.load().columns  # read after the listing: another run may have added columns, and written them, since this one began
    known = {place.column_key(column) for column in {*planned, *required}}
    known |= {place.record_key, place.manifest_key, place.coverage_key}
    return [key.removeprefix(place.prefix) for key in keys if key not in known]


def read_manifest(place: RunPlace, run: Run) -> Published:
    """The columns that are published."""
    try:
        stored = place.storage.get(place.manifest_key)
    except NotFoundError:
        return Published(version=None, columns={})
    try:
        manifest = json.loads(stored.data)
        digest, columns = manifest["config_digest"], {int(column): entry for column, entry in manifest["columns"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{place.storage.where(place.manifest_key)} is not a manifest ({error!r}): restore or remove it"
        ) from error
    if digest != run.config_digest:
        raise ConfigurationError(f"{place.storage.where(place.manifest_key)} is another run's: use another --output, or remove it")
    return Published(version=stored.version, columns=columns, data=stored.data)


def make_manifest(place: RunPlace, run: Run, checked: Sequence[CheckedColumn]) -> dict[str, Any]:
    """What is published: readers need nothing else, and trust nothing else."""
    manifest = {
        "format": FORMAT,
        "recipe": run.recipe.name,
        "year": run.year,
        "config_digest": run.config_digest,
        "weights": run.weights,
        "weights_sha256": run.weights_sha256,
        "package_version": __version__,
        "complete": len(checked) == COLUMN_COUNT,
        "chips": {name: sum(column.outcomes.count(letter) for column in checked) for letter, name in OUTCOMES.items()},
        "columns": {
            str(column.column): {
                "file": place.column_key(column.column).removeprefix(place.prefix),
                "rows": column.rows,
                "bytes": column.size,
                "sha256": column.sha256,
            }
            for column in checked
        },
    }
    if run.warning:
        manifest["warning"] = run.warning
    return manifest


def _some(names: Sequence[str], what: str) -> str:
    if what == "missing":
        return format_columns([int(name) for name in names])
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
