"""Plan: what can be checked once is checked here, before anything costs money; then the run is recorded."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from embedder.area import Area, within
from embedder.console.progress import Progress
from embedder.errors import ConflictError, UsageError
from embedder.models.weights import SlimWeights, random_seed, sha256_of, slim
from embedder.output.run import Run, RunPlace
from embedder.recipes import Precision, Recipe
from embedder.source.inventory import list_tiles, open_source
from embedder.storage import Storage
from embedder.storage.base import os_errors_at
from embedder.storage.download import without_secrets
from embedder.storage.scratch import scratch_folder


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What a person decides of a run."""

    recipe: Recipe
    year: int
    columns: Sequence[int]
    """Of an area, those that have a chip in it are kept."""
    source: str
    weights: str
    weights_sha256: str | None = None
    """Of the checkpoint, where it is to be verified."""
    precision: Precision = "auto"
    area: Area | None = None
    """What alone is read and embedded, in chips of the recipe's size; None for the whole grid."""

    def __post_init__(self) -> None:
        if self.area and self.area.chip_pixels != self.recipe.chip_pixels:
            raise UsageError(f"the area has chips of {self.area.chip_pixels} pixels, {self.recipe.name} has {self.recipe.chip_pixels}")
        object.__setattr__(self, "columns", within(self.area, self.columns))


def plan(storage: Storage, options: PlanOptions, progress: Progress) -> Run:
    """List the source, check the weights and put them where the embed steps read them, and record the run.

    Raises ConfigurationError where one of them cannot be used, or where the output holds a run of another configuration or area.
    """
    place = RunPlace(storage=storage, recipe=options.recipe, year=options.year)
    storage.check_writable()
    for folder in place.folders:
        storage.tidy(folder)
    recorded = place.find()
    if recorded:
        place.check_current(recorded)
    source = open_source(options.source)
    progress.say(f"listing the tiles of {options.year} in {source.location}")
    run = Run(
        recipe=options.recipe,
        year=options.year,
        source=source.location,
        inventory=list_tiles(source, options.year),
        weights=without_secrets(options.weights),
        seed=recorded.seed if recorded else None,
        checkpoint_sha256=recorded.checkpoint_sha256 if recorded else None,
        weights_sha256=recorded.weights_sha256 if recorded else "",
        precision=options.precision,
        columns=tuple(options.columns),
        area=options.area,
    )
    if recorded:
        place.merge(run, recorded)  # before a checkpoint of gigabytes is fetched
    if not (recorded and _has_weights(place, recorded, options)):
        with _slimmed(options, progress) as made:
            run = replace(run, seed=made.seed, checkpoint_sha256=made.source_sha256, weights_sha256=made.sha256)
            if recorded:
                place.merge(run, recorded)  # before another run's weights are stored
            _put_weights(place, made)
    run = place.record(run)
    if run.warning:
        progress.say(f"NOTE: {run.warning}")
    return run


def _has_weights(place: RunPlace, recorded: Run, options: PlanOptions) -> bool:
    """Whether the output holds, in slim form, what `--weights` names. What a URL held when the run was first planned counts."""
    if recorded.weights != without_secrets(options.weights) or not any(place.storage.list(place.weights_key(recorded.weights_sha256))):
        return False
    if options.weights_sha256 and options.weights_sha256.lower() != recorded.checkpoint_sha256:
        return False
    path = Path(options.weights)
    is_local = "://" not in options.weights and random_seed(options.weights) is None
    return not is_local or (path.is_file() and sha256_of(path) == recorded.checkpoint_sha256)


@contextmanager
def _slimmed(options: PlanOptions, progress: Progress) -> Iterator[SlimWeights]:
    """The checkpoint's encoder, fetched and verified, in a folder that goes in the end."""
    progress.say(f"reading the weights: {without_secrets(options.weights)}")
    with scratch_folder() as scratch:
        with os_errors_at(f"temporary files in {scratch.parent} (TMPDIR)"), progress.download() as report:
            made = slim(
                options.weights,
                scratch / "slim.safetensors",
                options.recipe,
                expected_sha256=options.weights_sha256,
                progress=report,
            )
        yield made


def _put_weights(place: RunPlace, made: SlimWeights) -> None:
    """Put them below the output, where they are not yet."""
    key = place.weights_key(made.sha256)
    stored = next((listed for listed in place.storage.list(key) if listed.key == key), None)
    if stored is None or stored.size != made.size:
        with suppress(ConflictError):  # another plan has just put the same bytes
            place.storage.put(key, made.path, replaces=stored.version if stored else None)
