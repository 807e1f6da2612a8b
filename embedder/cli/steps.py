"""The commands: the steps as the pods run them, and on a laptop."""

import json
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from embedder import __version__
from embedder.area import within
from embedder.area_file import area_of
from embedder.cli.options import (
    MOST_TOGETHER,
    Amount,
    Columns,
    area_options,
    columns_option,
    data_options,
    debug_option,
    device_option,
    example,
    option,
    plan_options,
    recipe_option,
    year_option,
)
from embedder.cli.pods import passing_in_a_pod
from embedder.console.log import format_result
from embedder.console.progress import Progress
from embedder.errors import AccessDeniedError, ConfigurationError, CredentialsError, DeviceError
from embedder.grid import VERSIONS, format_columns
from embedder.output.manifest import Manifest
from embedder.output.receipt import describe, money
from embedder.output.run import FORCED, Run, RunPlace
from embedder.recipes import RECIPES, Precision
from embedder.source.inventory import PUBLIC_SOURCE, open_source
from embedder.steps.embed import EmbedResult, adjacent, embed
from embedder.steps.finalize import finalize
from embedder.steps.inspect import missing_columns
from embedder.steps.plan import PlanOptions, plan
from embedder.steps.preflight import failure, preflight
from embedder.steps.status import status
from embedder.storage import open_readable, open_storage
from embedder.storage.base import os_errors_at
from embedder.storage.download import without_secrets

ELSEWHERE = {
    "search": "embedder.cli.search",
    "explore": "embedder.cli.explore",
    "classify": "embedder.cli.maps",
    "map": "embedder.cli.maps",
    "report": "embedder.cli.report",
    "publish": "embedder.cli.publish",
    "verify": "embedder.cli.publish",
}
"""Commands that pods don't need, and the modules that hold them, each as `{name}_command`."""
UNLISTED = "can't be listed, only read: unexpected files, and columns that were embedded again, are not seen"

output_option = option("--output", required=True, help="Where the files go: s3://bucket/prefix or a folder.")


class LazyGroup(click.Group):
    """A group of which some commands are imported only when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Those of this file in the order of a run, then those of elsewhere."""
        return [*self.commands, *ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name in ELSEWHERE:
            command: click.Command = getattr(import_module(ELSEWHERE[cmd_name]), f"{cmd_name}_command")
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=LazyGroup, no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="embedder")
def cli() -> None:
    """Clay embeddings of the ESA WorldCover Sentinel-2 composites, column by column.

    A run is `plan`, then `embed` for each column, then `finalize`; workflows/submit.py does all of it.

    Exit codes: 0 done, 2 wrong usage, 75 try again later, 78 wrong configuration or input, 143 stopped by SIGTERM.

    LOG_FORMAT=json in the environment makes every line an object, for log collectors.
    """


@cli.command(
    "plan",
    epilog=example(
        "embedder plan --year 2020 --columns 74 --source build/demo/source --weights random:0 --output build/steps",
    ),
)
@year_option
@recipe_option
@output_option
@columns_option("all", "Columns to embed: all, or numbers and ranges such as 1155-1158,17.")
@area_options
@plan_options
@option("--columns-per-pod", type=click.IntRange(1, MOST_TOGETHER), default=1, show_default=True, help="Adjacent columns in each shard.")
@option("--missing-only", is_flag=True, help="Leave finished columns out of the shards.")
@click.option("--shards", type=click.Path(path_type=Path), help="Write the columns of each `embed` to this file: a JSON list.")
@debug_option
def plan_command(output: str, *, columns_per_pod: int, missing_only: bool, shards: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Check source, weights and output, put the weights where `embed` reads them, and record the run."""
    storage, chosen, progress = open_storage(output), plan_options_of(**options), Progress()
    run = plan(storage, chosen, progress)
    text = f"planned {len(chosen.columns)} columns from {len(run.inventory)} tiles; the weights are {run.weights_sha256}"
    click.echo(format_result(text, columns=len(chosen.columns), tiles=len(run.inventory), weights_sha256=run.weights_sha256))
    if shards:
        place = RunPlace(storage=storage, recipe=chosen.recipe, year=chosen.year)
        columns = missing_columns(place, run, chosen.columns, progress) if missing_only else chosen.columns
        names = [format_columns(group) for group in adjacent(columns, columns_per_pod)]
        with os_errors_at(str(shards)):
            shards.write_text(json.dumps(names))
        click.echo(format_result(f"{len(names)} shards to embed", shards=len(names)))


@cli.command("embed", epilog=example("embedder embed --year 2020 --column 74 --output build/steps"))
@option("--column", type=Columns(), required=True, help="Column to embed; several as 1155-1158.")
@year_option
@recipe_option
@output_option
@device_option
@option("--force", is_flag=True, help="Embed again what is finished.")
@plan_options
@debug_option
@passing_in_a_pod(AccessDeniedError, CredentialsError, DeviceError)
def embed_command(output: str, column: list[int], *, force: bool, device: str, **options: Any) -> None:  # noqa: ANN401
    """Embed one column, or several adjacent ones together, of a planned run. Finished, valid columns are skipped."""
    progress = Progress()
    place, run = _load(output, options, progress)
    if unplanned := sorted(set(column) - set(run.columns)):
        where = place.storage.where(place.prefix)
        raise ConfigurationError(f"columns {format_columns(unplanned)} are not planned at {where}: run `embedder plan` with them first")
    if run.warning:
        progress.say(f"NOTE: {run.warning}")
    result = embed(place, run, column, progress, force=force, device=device, columns_together=min(len(column), MOST_TOGETHER))
    click.echo(summary(result))
    result.raise_failures()


@cli.command("finalize", epilog=example("embedder finalize --year 2020 --output build/steps"))
@year_option
@recipe_option
@output_option
@columns_option(None, "Columns that must be there.  [default: all that were planned]")
@plan_options
@debug_option
@passing_in_a_pod(CredentialsError)
def finalize_command(output: str, columns: list[int] | None, **options: Any) -> None:  # noqa: ANN401
    """Check every file, draw the coverage picture and publish the manifest; refuse where anything is missing or wrong."""
    progress = Progress()
    place, run = _load(output, options, progress)
    manifest = finalize(place, run, within(run.area, columns) if columns else list(run.columns), progress)
    click.echo(published(place, manifest))


@cli.command("status", epilog=example("embedder status --year 2020 --output build/steps"))
@year_option
@recipe_option
@output_option
@columns_option(None, "Columns to look at.  [default: all that were planned]")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What to print.")
@option("--price", type=Amount(), help="Money for an hour of a node that runs one pod: say what the columns' hours cost. It is not stored.")
@plan_options
@debug_option
def status_command(output: str, columns: list[int] | None, form: str, price: float | None, **options: Any) -> None:  # noqa: ANN401
    """Say what is done, missing and invalid, and what it cost, from the stored files alone."""
    progress = Progress()
    place, run = _load(output, options, progress, to_write=False)
    found = status(place, run, within(run.area, columns) if columns else list(run.columns), progress)
    facts = asdict(found) | {"receipt": [each.to_record() for each in found.receipt]}
    if run.area:
        facts["area"] = str(run.area)
    if price is not None:
        facts["money"] = money(found.receipt, price)
    if form == "json":
        click.echo(json.dumps(facts, indent=1))
        return
    cost = describe(found.receipt, columns=len(found.done), chips=found.chips["embedded"], price=price)
    lines = (
        f"{place.storage.where(place.prefix)} ({run.weights})",
        *([f"area:       {run.area.describe()}"] if run.area else ()),
        f"done:       {len(found.done):5} columns: {', '.join(f'{count} {name}' for name, count in found.chips.items())} chips",
        f"missing:    {len(found.missing):5} columns  {format_columns(found.missing)}",
        f"invalid:    {len(found.invalid):5} columns",
        *(f"            column {number}: {reason}" for number, reason in found.invalid.items()),
        f"unexpected: {len(found.unexpected):5} files    {', '.join(found.unexpected)}",
        f"published:  {len(found.published):5} of {run.whole} columns",
        *([f"newer:      {len(found.newer):5} columns  {format_columns(found.newer)}: finalize publishes them"] if found.newer else ()),
        *(f"{f'{name}:':11} {text}" for name, text in cost.items()),
        *(
            f"NOTE: published column {number}: {what}: embed what is missing or invalid, then finalize"
            for number, what in found.altered.items()
        ),
        *([] if found.is_listed else [f"NOTE: {place.storage.where(place.prefix)} {UNLISTED}"]),
        *([f"NOTE: what is published is not known: {found.unreadable_manifest}"] if found.unreadable_manifest else ()),
    )
    columns_of = {name: format_columns(getattr(found, name)) for name in ("done", "missing", "published", "newer")}
    click.echo(format_result("\n".join(lines), **facts | columns_of))


@cli.command(
    "preflight",
    epilog=example("embedder preflight --year 2020 --source build/demo/source --weights random:0 --output build/steps"),
)
@option("--year", type=click.Choice(list(VERSIONS)), default=next(iter(VERSIONS)), show_default=True, help="Year of the composites.")
@recipe_option
@output_option
@data_options
@debug_option
def preflight_command(year: int, recipe: str, output: str, source: str | None, weights: str | None) -> None:
    """Check from here, leaving nothing behind, that the output can be written, and source and weights be read."""
    checks = []
    for made in preflight(
        output, PUBLIC_SOURCE if source is None else source, RECIPES[recipe].weights if weights is None else weights, year
    ):
        text = f"{'failed' if made.error else 'ok':6}  {made.name:8}  {made.detail}"
        click.echo(format_result(text, check=made.name, ok=not made.error))
        checks.append(made)
    if error := failure(checks, "the preflight failed"):
        raise error


@cli.command("weights", epilog=example("embedder weights random:0 build/clay-v0.1.safetensors"))
@click.argument("checkpoint")
@click.argument("out", type=click.Path(path_type=Path))
@recipe_option
@option("--weights-sha256", help="Refuse a checkpoint with another SHA-256.")
@debug_option
def weights_command(checkpoint: str, out: Path, recipe: str, weights_sha256: str | None) -> None:
    """Write the encoder of CHECKPOINT, a path, a URL or random:SEED, to OUT, in the slim form that loads in a moment."""
    from embedder.models.weights import slim  # noqa: PLC0415

    with os_errors_at(str(out)), Progress().download() as report:
        made = slim(checkpoint, out, RECIPES[recipe], expected_sha256=weights_sha256, progress=report)
    text = f"{made.path}: {made.size / 1e6:.0f} MB, SHA-256 {made.sha256}"
    click.echo(format_result(text, path=str(made.path), bytes=made.size, sha256=made.sha256))


def plan_options_of(
    *,
    year: int,
    recipe: str,
    columns: list[int],
    source: str | None,
    weights: str | None,
    weights_sha256: str | None,
    precision: Precision | None,
    bbox: str | None,
    area: str | None,
) -> PlanOptions:
    """What a person decided, with the defaults filled in."""
    return PlanOptions(
        recipe=RECIPES[recipe],
        year=year,
        columns=columns,
        source=PUBLIC_SOURCE if source is None else source,
        weights=RECIPES[recipe].weights if weights is None else weights,
        weights_sha256=weights_sha256,
        precision=precision or "auto",
        area=area_of(bbox, area, RECIPES[recipe].chip_pixels),
    )


def summary(result: EmbedResult) -> str:
    """One line about what `embed` did, in the form that LOG_FORMAT asks for."""
    rows = sum(column.rows for column in result.written)
    parts = [f"embedded {rows} chips in {len(result.written)} columns"]
    if result.skipped:
        parts.append(f"{len(result.skipped)} finished before")
    if result.failed:
        parts.append(f"{len(result.failed)} failed: {format_columns(list(result.failed))}")
    counts = {"columns_written": len(result.written), "columns_finished_before": len(result.skipped)}
    return format_result(", ".join(parts), embedded=rows, **counts, columns_failed=format_columns(result.failed))


def published(place: RunPlace, manifest: Manifest) -> str:
    """What `finalize` published, and where to look, in the form that LOG_FORMAT asks for."""
    counts = ", ".join(f"{count} {name}" for name, count in manifest.chips.items())
    places = {
        "files": f"{place.storage.where(place.prefix)}worldcover_embeddings_{place.year}_*.parquet",
        "manifest": place.storage.where(place.manifest_key),
        "picture": place.storage.where(place.coverage_key),
    }
    lines = [
        f"published {len(manifest.columns)} of {manifest.whole} columns ({counts} chips)",
        *(f"  {name:8}  {where}" for name, where in places.items()),
    ]
    notes = {"chips": manifest.chips, "complete": manifest.complete}
    if forced := sum(entry.file.startswith(f"{FORCED}/") for entry in manifest.columns.values()):
        lines.append(f"{forced} of the columns were embedded again: their files are in {FORCED}/, as the manifest says")
    if manifest.warning:
        lines.append(f"NOTE: {manifest.warning}")
        notes["warning"] = manifest.warning
    cost = describe(manifest.receipt, columns=len(manifest.columns), chips=sum(entry.rows for entry in manifest.columns.values()))
    lines += [f"  {name:8}  {text}" for name, text in cost.items()]
    notes["receipt"] = [each.to_record() for each in manifest.receipt]
    return format_result("\n".join(lines), columns=len(manifest.columns), **notes, **places)


def _load(output: str, options: dict[str, Any], progress: Progress, *, to_write: bool = True) -> tuple[RunPlace, Run]:
    """The planned run; what is given beside it must agree with it."""
    storage = open_storage(output) if to_write else open_readable(output)
    if storage.remark:
        progress.say(f"NOTE: {storage.remark}")
    place = RunPlace(storage=storage, recipe=RECIPES[options["recipe"]], year=options["year"])
    run = place.load()
    planned = {"source": run.source, "precision": run.precision, "weights-sha256": run.checkpoint_sha256}
    given = {
        "source": options["source"] and open_source(options["source"]).location,
        "precision": options["precision"],
        "weights-sha256": options["weights_sha256"] and options["weights_sha256"].lower(),
    }
    for name, value in given.items():
        if value and value != planned[name]:
            raise ConfigurationError(f"--{name} {value} is not that of the planned run, {planned[name]}: leave it out, or plan again")
    if options["weights"] and without_secrets(options["weights"]) != run.weights:
        progress.say(f"--weights is for plan alone: this run's are those that it took from {run.weights}")
    return place, run
