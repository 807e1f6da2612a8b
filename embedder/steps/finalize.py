"""Finalize: read every file that must exist, and publish all of them, or none."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, ConflictError, NotFoundError
from embedder.grid import format_columns
from embedder.output.column_file import CheckedColumn
from embedder.output.coverage import draw_coverage
from embedder.output.manifest import Manifest, find_manifest_of
from embedder.output.run import Run, RunPlace
from embedder.steps.inspect import inspect_columns
from embedder.steps.oddities import oddities
from embedder.storage import ANY

ADVICE = {"missing": "embed them", "invalid": "embed them", "unexpected": "remove what is unexpected"}
NAMED = 20
"""Columns named in an error before it only counts them."""


def finalize(place: RunPlace, run: Run, columns: Sequence[int], progress: Progress) -> Manifest:
    """Check these columns and those published before, and write the manifest, which is returned.

    Raises ConfigurationError, naming what is wrong, and publishes nothing where a file is missing, invalid or unexpected.
    """
    place.check_current(run)
    for _ in range(10):
        published = find_manifest_of(place, run)
        required = sorted({*columns, *(published.manifest.columns if published else ())})
        checked = check_all(place, run, required, progress)
        files = list(checked.values())
        if note := unlike(files):
            progress.say(f"NOTE: {note}")
        for note in oddities(run, files):
            progress.say(f"NOTE: {note}")
        manifest = Manifest.of_columns(place, run, checked)
        data = manifest.to_json()
        _put_picture(place, draw_coverage(run, files))
        if published and data == published.data:
            return manifest
        try:
            place.storage.put(place.manifest_key, data, replaces=published.version if published else None)
        except ConflictError:
            continue  # another finalize was faster: publish on top of its columns
        return manifest
    raise ConflictError(f"{place.storage.where(place.manifest_key)} keeps being rewritten by others: try again when they are done")


def _put_picture(place: RunPlace, picture: bytes) -> None:
    """Unless it is there already: a damaged or stale one is not."""
    with suppress(NotFoundError):
        if place.storage.get(place.coverage_key).data == picture:
            return
    place.storage.put(place.coverage_key, picture, replaces=ANY)


def check_all(place: RunPlace, run: Run, required: Sequence[int], progress: Progress) -> dict[str, CheckedColumn]:
    """The required columns by their files' keys, all valid, and nothing beside them that this output does not know."""
    problems: dict[str, list[str]] = {}
    checked = {}
    for column, found in zip(required, inspect_columns(place, run, required, progress), strict=True):
        if isinstance(found.content, CheckedColumn):
            checked[found.key] = found.content
        elif found.content is None:
            problems.setdefault("missing", []).append(str(column))
        else:
            problems.setdefault("invalid", []).append(f"{column} ({found.content})")
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
    columns = {*planned, *required}
    known = {place.column_key(column) for column in columns} | {place.record_key, place.manifest_key, place.coverage_key}
    return [key.removeprefix(place.prefix) for key in keys if key not in known and place.column_of_forced(key) not in columns]


def _some(names: Sequence[str], what: str) -> str:
    if what == "missing":
        return format_columns([int(name) for name in names])
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
