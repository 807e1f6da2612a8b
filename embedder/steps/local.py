"""The whole run on one machine: the steps that the pods run, in this process."""

from dataclasses import dataclass

from embedder.console.progress import Progress
from embedder.errors import EmbedderError
from embedder.output.manifest import Manifest
from embedder.output.run import Run, RunPlace
from embedder.source.inventory import list_tiles, open_source
from embedder.steps.embed import EmbedResult, embed
from embedder.steps.estimate import estimate
from embedder.steps.finalize import finalize
from embedder.steps.plan import PlanOptions, plan
from embedder.storage import open_storage
from embedder.storage.download import without_secrets


@dataclass(frozen=True, kw_only=True)
class LocalRun:
    """What became of a run."""

    place: RunPlace
    run: Run
    embedded: EmbedResult
    manifest: Manifest | None
    """None where columns failed, so that nothing was published."""
    refusal: EmbedderError | None
    """Why nothing was published."""

    def raise_failures(self) -> None:
        """The first column's error, or why nothing was published, where either is."""
        self.embedded.raise_failures()
        if self.refusal:
            raise self.refusal


def run_local(
    output: str, options: PlanOptions, progress: Progress, *, force: bool = False, device: str = "auto", columns_together: int | None = None
) -> LocalRun:
    """Plan, embed and finalize."""
    storage = open_storage(output)
    if options.precision == "fp16":  # which a CPU refuses: it must not be recorded of a run that can't be
        from embedder.models.encoder import resolve_device, resolve_precision  # noqa: PLC0415 - imports torch

        resolve_precision(options.precision, resolve_device(device))
    run = plan(storage, options, progress)
    place = RunPlace(storage=storage, recipe=options.recipe, year=options.year)
    embedded = embed(place, run, options.columns, progress, force=force, device=device, columns_together=columns_together)
    manifest = refusal = None
    try:
        manifest = finalize(place, run, options.columns, progress)
    except EmbedderError as error:
        refusal = error
    return LocalRun(place=place, run=run, embedded=embedded, manifest=manifest, refusal=refusal)


def describe(options: PlanOptions, columns_together: int | None = None) -> str:
    """What a run would do, without doing any of it."""
    source = open_source(options.source)
    inventory = list_tiles(source, options.year)
    together = columns_together or 1
    return "\n".join(
        (
            f"{options.recipe.name} {options.year}",
            f"  source   {source.location}: {len(inventory)} tiles in the grid",
            f"  weights  {without_secrets(options.weights)}",
            str(estimate(options.recipe, inventory, options.columns, (together,), options.area)[together]),
        )
    )
