"""`embedder search` and `embedder explore`. What only they need is imported when they run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from embedder.cli.options import debug_option, example, option
from embedder.console.progress import Progress
from embedder.console.signals import say_when_stopped
from embedder.errors import UsageError, require_extra

if TYPE_CHECKING:
    from embedder.explore.explorer import Explorer
    from embedder.grid import Chip

RECIPES = ("clay-v0.1", "clay-v0.1-published", "clay-v1.5", "v002")


def output_options(command: Any) -> Any:  # noqa: ANN401 - click's own
    """What is searched."""
    for decorate in (
        option("--recipe", type=click.Choice(RECIPES), default=RECIPES[0], show_default=True, help="Which; v002 are Clay's own."),
        option("--output", required=True, help="Where the embeddings are: s3://bucket/prefix, https://host/path or a folder."),
    ):
        command = decorate(command)
    return command


@click.command("search", epilog=example("embedder search --output build/steps --chip c0074r0309 -k 3"))
@output_options
@option("--year", type=int, help="Year to search.  [default: the last that is published]")
@click.option("--chip", "--like", "like", multiple=True, metavar="ID", help="Find chips like this one, c1155r0287; may be repeated.")
@click.option("--unlike", multiple=True, metavar="ID", help="... and unlike this one.")
@click.option("--lon", type=float, help="Find chips like the one at this longitude ...")
@click.option("--lat", type=float, help="... and latitude.")
@click.option("--change", nargs=2, type=int, metavar="YEAR YEAR", help="Find the chips that changed most between two years.")
@click.option("--bbox", metavar="W,S,E,N", help="Only chips that touch this box, degrees.")
@click.option("-k", "count", type=int, default=10, show_default=True, help="How many.")
@click.option("--exact", is_flag=True, help="Compare every chip, also where there is an index.")
@click.option("--format", "form", type=click.Choice(["table", "geojson", "csv"]), default="table", show_default=True, help="What to print.")
@click.option("--to", type=click.Path(path_type=Path), help="Write a .geojson, .csv or .parquet file instead.")
@debug_option
def search_command(  # noqa: PLR0917 - click gives them by name
    output: str,
    recipe: str,
    year: int | None,
    like: tuple[str, ...],
    unlike: tuple[str, ...],
    lon: float | None,
    lat: float | None,
    change: tuple[int, int] | None,
    bbox: str | None,
    count: int,
    exact: bool,  # noqa: FBT001
    form: str,
    to: Path | None,
) -> None:
    """Find similar chips, or the chips that changed most."""
    from embedder.explore import results  # noqa: PLC0415
    from embedder.explore.explorer import change_note, check_years  # noqa: PLC0415
    from embedder.explore.places import parse_box, parse_chips  # noqa: PLC0415
    from embedder.explore.search import Question, check_count  # noqa: PLC0415
    from embedder.explore.vectors.catalogue import EXPLORABLE  # noqa: PLC0415

    # All that can be wrong in what was given is found before anything takes time.
    check_count(count)
    if to:
        results.check_file(to)
        if _is_given("form"):
            raise UsageError("the name after --to says the form: leave out --format")
    bounds = parse_box(bbox) if bbox else None
    progress = Progress()
    if change:
        if like or unlike or lon is not None or lat is not None or _is_given("year"):
            raise UsageError("--change ranks all chips: leave out --chip, --like, --unlike, --lon, --lat and --year")
        check_years(*change)
        explorer = open_output(output, recipe, change, progress)
        hits, note = explorer.changes(*change, count, bounds), change_note(*change)
        metadata = explorer.metadata() | {"years": list(change), "note": note}
    else:
        pixels = EXPLORABLE[recipe].chip_pixels
        examples, others = _examples(like, lon, lat, pixels), parse_chips(unlike, pixels)
        explorer = open_output(output, recipe, [] if year is None else [year], progress)
        searcher = explorer.searcher(year or max(explorer.years))
        hits = searcher.search(Question(like=examples, unlike=others, count=count, bounds=bounds, exact=exact))
        ids, other_ids = ([chip.id for chip in chips] for chips in (examples, others))
        metadata = explorer.metadata() | {"year": searcher.database.year, "like": ids, "unlike": other_ids}
        unlike_too = f" and unlike {' '.join(other_ids)}" if others else ""
        note = f"like {' '.join(ids)}{unlike_too} in {searcher.database.year}"
    progress.say(note)
    if not hits:
        progress.say(f"nothing was found{' in this box: choose a larger one' if bbox else ''}")
    if to:
        results.write_file(hits, to, metadata)
        progress.say(f"wrote {len(hits)} chips to {to}")
    elif form != "table":
        click.echo(results.encode(hits, form, metadata).decode(), nl=False)
    elif hits:
        click.echo(results.table(hits))


@click.command("explore", epilog=example("embedder explore --output build/steps --year 2020"))
@output_options
@option("--year", type=int, multiple=True, help="Year to show; several times for several.  [default: all that are published]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; another than this opens the page to others.")
@click.option("--port", type=click.IntRange(0, 65535), default=8_000, show_default=True, help="Port to listen at; 0 takes a free one.")
@click.option("--open/--no-open", "show", default=True, show_default=True, help="Open the page in the browser.")
@click.option("--recall", is_flag=True, help="Measure the index against exact search instead, and print what was found.")
@option("--wms", help="WMS for the chips' pictures, or none.  [default: ESA WorldCover's, if the run read its public bucket]")
@option("--wms-layer", help="Its layer; {year} stands for the year.  [default: WORLDCOVER_{year}_S2_TCC]")
@option("--source", help="Where the tiles are, for pictures without the WMS.  [default: where the run read them]")
@option("--basemap", help="Tiles of a base map, https://host/{z}/{x}/{y}.png.  [default: none]")
@debug_option
def explore_command(  # noqa: PLR0917 - click gives them by name
    output: str,
    recipe: str,
    year: tuple[int, ...],
    host: str,
    port: int,
    show: bool,  # noqa: FBT001
    recall: bool,  # noqa: FBT001
    wms: str | None,
    wms_layer: str | None,
    source: str | None,
    basemap: str | None,
) -> None:
    """Open a page with the embeddings on a map: click a place, and see what is like it."""
    require_extra("explore", "lancedb", "fastapi", "uvicorn", "maplibre")
    if recall:
        from embedder.explore.recall import describe, measure  # noqa: PLC0415

        for each, searcher in open_output(output, recipe, year, Progress()).searchers.items():
            click.echo(f"{each}: {describe(measure(searcher))}")
        return
    from embedder.explore.explorer import PictureOptions  # noqa: PLC0415
    from embedder.explore.pictures.wms import LAYER  # noqa: PLC0415
    from embedder.explore.web.serve import listen, serve  # noqa: PLC0415
    from embedder.explore.web.server import make_app, origin_of  # noqa: PLC0415

    # As in a search: what was given is checked before anything takes time.
    options = PictureOptions(wms=wms, layer=wms_layer or LAYER, source=source)
    if basemap:
        origin_of(basemap)
    listening = listen(host, port)
    explorer = open_output(output, recipe, year, Progress())
    say_when_stopped("the page is closed")
    serve(make_app(explorer, explorer.pictures(options), host=host, basemap=basemap), listening, host, show=show)


def _is_given(name: str) -> bool:
    """Whether an option stands on the command line, not in the environment."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def open_output(output: str, recipe: str, years: Sequence[int], progress: Progress) -> "Explorer":
    """Bring the cache up to an output, open it, and say what a person has to know of it."""
    from embedder.explore.explorer import open_explorer  # noqa: PLC0415

    explorer = open_explorer(output, recipe, years, progress)
    for warning in explorer.warnings():
        progress.say(f"NOTE: {warning}")
    return explorer


def _examples(like: Sequence[str], lon: float | None, lat: float | None, pixels: int) -> list["Chip"]:
    from embedder.explore.places import chip_at, parse_chips  # noqa: PLC0415

    examples = parse_chips(like, pixels)
    if (lon is None) != (lat is None):
        raise UsageError("a place has both --lon and --lat: give the other one too")
    if lon is not None and lat is not None:
        examples.append(chip_at(lon, lat, pixels))
    if not examples:
        raise UsageError("no chip is given to look for: give --chip, or --lon and --lat, or --change")
    return examples
