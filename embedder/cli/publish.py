"""`embedder publish` and `embedder verify`. What only they need is imported when they run."""

from typing import Any

import click

from embedder.cli.options import debug_option, example, option, recipe_option
from embedder.console.log import format_result
from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, require_extra
from embedder.grid import VERSIONS
from embedder.recipes import RECIPES
from embedder.storage import open_readable, open_storage

FORMS = ("geoparquet", "int8", "zarr")


class Years(click.ParamType[list[int]]):
    """Years of the composites, with commas between them."""

    name = "years"

    def convert(self, value: str | list[int], param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The numbers, sorted."""
        if isinstance(value, list):
            return value
        names = {str(year): year for year in VERSIONS}
        wrong = [part for part in value.split(",") if part.strip() not in names]
        if wrong:
            self.fail(f"{wrong[0].strip()!r} is not one of {', '.join(names)}: write {','.join(names)}", param, ctx)
        return sorted({names[part.strip()] for part in value.split(",")})


@click.command("publish", epilog=example("embedder publish --output build/steps --to build/dataset --form geoparquet --form int8"))
@option("--output", required=True, help="Where the finished runs are: s3://bucket/prefix, https://host/path or a folder.")
@recipe_option
@option("--to", envvar="PUBLISH_TO", required=True, help="Where the data set goes: s3://bucket/prefix or a folder.")
@option("--years", type=Years(), help="Years to publish, such as 2020,2021.  [default: all that are finished]")
@click.option(
    "--form", "forms", type=click.Choice(FORMS), multiple=True, default=FORMS[:1], show_default=True, help="May be repeated for several."
)
@option("--least-recall", type=click.FloatRange(0, 1), default=0.99, show_default=True, help="Of int8 against float32; less is refused.")
@debug_option
def publish_command(output: str, *, recipe: str, to: str, years: list[int] | None, forms: tuple[str, ...], least_recall: float) -> None:
    """Make a data set for others of finished runs: files in spatial order, STAC, a data card, sums. Goes on where it was stopped."""
    require_extra("publish", "pystac", "jsonschema", "zarr")
    from embedder.publish.dataset import DataSet  # noqa: PLC0415
    from embedder.publish.source import finished_years  # noqa: PLC0415

    progress, source, target = Progress(), open_readable(output), open_storage(to)
    if source.remark:
        progress.say(f"NOTE: {source.remark}")
    finished = finished_years(source, RECIPES[recipe], years or ())
    dataset = DataSet(storage=target, recipe=RECIPES[recipe], progress=progress)
    records = dataset.publish(finished, list(dict.fromkeys(forms)), least_recall=least_recall)
    lines = [f"published {RECIPES[recipe].name} at {target.url}"]
    facts: list[dict[str, Any]] = []
    for record in records:
        size, rows = sum(part.bytes for part in record.parts), sum(part.rows for part in record.parts)
        lines.append(f"  {record.form:10} {record.year}: {rows:,} chips in {len(record.parts)} files, {size / 1e6:,.1f} MB")
        facts.append({"form": record.form, "year": record.year, "chips": rows, "files": len(record.parts), "bytes": size})
    lines.append(f"check a copy of it: embedder verify {target.url}")
    click.echo(format_result("\n".join(lines), place=target.url, published=facts))


@click.command("verify", epilog=example("embedder verify build/dataset"))
@click.argument("place")
@debug_option
def verify_command(place: str) -> None:
    """Check a copy of a data set at PLACE, wherever it is: sums, counts, finite values, grid, STAC."""
    require_extra("publish", "pystac", "jsonschema", "zarr")
    from embedder.publish.verify import verify  # noqa: PLC0415

    storage, progress = open_readable(place), Progress()
    if storage.remark:
        progress.say(f"NOTE: {storage.remark}")
    found = verify(storage, progress)
    for wrong in found.faults:
        click.echo(format_result(f"wrong: {wrong}"))
    if found.faults:
        raise ConfigurationError(
            f"{len(found.faults)} faults at {storage.url}, the first: {found.faults[0]}: copy it again, or publish it anew"
        )
    counts = ", ".join(f"{rows:,} chips in {name}" for name, rows in found.chips.items())
    text = f"{storage.url} is whole: {found.files} files, {found.bytes / 1e6:,.1f} MB; {counts}"
    click.echo(format_result(text, files=found.files, bytes=found.bytes, chips=found.chips))
