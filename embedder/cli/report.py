"""`embedder report`. What only it needs is imported when it runs."""

import json
from importlib.util import find_spec
from pathlib import Path

import click

from embedder.cli.explore import RECIPES
from embedder.cli.options import debug_option, example, option
from embedder.console.log import format_result
from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, UsageError
from embedder.storage import ANY, Storage, open_readable, open_storage


@click.command("report", epilog=example("embedder report --output build/steps --to build/report"))
@option("--recipe", type=click.Choice(RECIPES), default=RECIPES[0], show_default=True, help="Which; v002 are Clay's own.")
@option("--output", required=True, help="Where the embeddings are: s3://bucket/prefix, https://host/path or a folder.")
@click.option("--year", type=int, multiple=True, help="Year to report on; several times for several.  [default: all that are published]")
@option(
    "--labels",
    help="Where WorldCover's land cover map of the same years is, a URL or a folder; the public one: https://esa-worldcover.s3.amazonaws.com.",
)
@click.option("--to", default="report", show_default=True, help="Where report.json and report.html go: a folder, or s3://bucket/prefix.")
@debug_option
def report_command(output: str, recipe: str, year: tuple[int, ...], labels: str | None, to: str) -> None:
    """Say in figures, and on a page with plots, what the embeddings are worth.

    Lengths, copies, effective rank, neighbours, tile edges and change; with --labels, how well they tell land cover, tested on other
    ground than was learnt from.
    """
    from embedder.explore.report.figures import measure  # noqa: PLC0415
    from embedder.explore.report.page import render, summary  # noqa: PLC0415
    from embedder.explore.vectors.catalogue import EXPLORABLE, published_years  # noqa: PLC0415
    from embedder.source.land_cover import LandCoverMap  # noqa: PLC0415

    # All that can be wrong in what was given is found before anything takes time.
    if labels and not find_spec("sklearn"):
        raise ConfigurationError("scikit-learn is not installed, which learns the labels: pip install '.[report]', or leave out --labels")
    source, target = open_readable(output), open_storage(to)
    check_apart(source, target)
    published = published_years(source, EXPLORABLE[recipe], sorted(set(year)))
    maps = {each.year: LandCoverMap(labels, each.year) for each in published} if labels else {}
    target.check_writable()
    progress = Progress()
    if source.remark:
        progress.say(f"NOTE: {source.remark}")
    document = measure(published, maps, progress)
    for warning in document["warnings"]:
        progress.say(f"NOTE: {warning}")
    target.put("report.json", json.dumps(document, indent=1).encode() + b"\n", replaces=ANY)
    target.put("report.html", render(document).encode(), replaces=ANY)
    lines = [*summary(document), f"wrote {target.where('report.html')} and report.json beside it"]
    click.echo(format_result("\n".join(lines), page=target.where("report.html"), figures=target.where("report.json")))


def check_apart(output: Storage, target: Storage) -> None:
    """UsageError where the report would lie among the run's files, which finalize refuses."""
    run, place = (each.url if "://" in each.url else str(Path(each.url).resolve()) for each in (output, target))
    if f"{place.rstrip('/')}/".startswith(f"{run.rstrip('/')}/"):
        raise UsageError(f"--to {target.url} lies in the output: the run's folders are for the run's files alone: give another place")
