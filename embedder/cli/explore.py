"""`embedder explore`, and what the commands on embeddings share. What only they need is imported when they run."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from embedder.cli.options import debug_option, example, option
from embedder.console.progress import Progress
from embedder.console.signals import say_when_stopped
from embedder.errors import require_extra

if TYPE_CHECKING:
    from embedder.explore.explorer import Explorer

RECIPES = ("clay-v0.1", "clay-v0.1-published", "clay-v1.5", "v002")


def output_options(command: Any) -> Any:  # noqa: ANN401 - click's own
    """What is searched."""
    for decorate in (
        option("--recipe", type=click.Choice(RECIPES), default=RECIPES[0], show_default=True, help="Which; v002 are Clay's own."),
        option("--output", required=True, help="Where the embeddings are: s3://bucket/prefix, https://host/path or a folder."),
    ):
        command = decorate(command)
    return command


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
@option("--basemap", help="Tiles of a base map, https://host/{z}/{x}/{y}.png, or osm for OpenStreetMap's.  [default: none]")
@option("--basemap-attribution", help="Whose base map it is.  [default: its host's name]")
@click.option(
    "--allow-host", multiple=True, metavar="NAME", help="Answer to this name too, as where a proxy stands before it; may be repeated."
)
@click.option("--root-path", default="", metavar="PATH", help="Path below which a proxy serves the page, such as /user/ada/proxy/8000.")
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
    basemap_attribution: str | None,
    allow_host: tuple[str, ...],
    root_path: str,
) -> None:
    """Open a page with the embeddings on a map: click a place, and see what is like it."""
    require_extra("explore", "lancedb", "fastapi", "uvicorn", "maplibre")
    if recall:
        from embedder.explore.recall import describe, measure  # noqa: PLC0415

        for each, searcher in open_output(output, recipe, year, Progress()).searchers.items():
            click.echo(f"{each}: {describe(measure(searcher))}")
        return
    from embedder.explore.explorer import PictureOptions, unread  # noqa: PLC0415
    from embedder.explore.pictures.wms import LAYER  # noqa: PLC0415
    from embedder.explore.web.news import News  # noqa: PLC0415
    from embedder.explore.web.serve import listen, serve  # noqa: PLC0415
    from embedder.explore.web.server import OSM, Basemap, make_app  # noqa: PLC0415

    # As in a search: what was given is checked before anything takes time.
    options = PictureOptions(wms=wms, layer=wms_layer or LAYER, source=source)
    below = None
    if basemap:
        below = OSM if basemap.lower() == "osm" else Basemap(tiles=basemap)
        below = replace(below, attribution=basemap_attribution or below.attribution)
        below.origin  # noqa: B018 - checks it
    listening = listen(host, port)
    explorer = open_output(output, recipe, year, Progress())
    say_when_stopped("the page is closed")
    pictures = explorer.pictures(options)
    root = "/" + root_path.strip("/") if root_path.strip("/") else ""
    news = News(
        explorer=explorer, count=lambda: unread(explorer, output, year), reopen=lambda: open_output(output, recipe, year, Progress())
    )
    app = make_app(explorer, pictures, host=host, basemap=below, allowed_hosts=allow_host, root_path=root, news=news)
    serve(app, listening, host, show=show)


def open_output(output: str, recipe: str, years: Sequence[int], progress: Progress) -> "Explorer":
    """Bring the cache up to an output, open it, and say what a person has to know of it."""
    from embedder.explore.explorer import open_explorer  # noqa: PLC0415

    explorer = open_explorer(output, recipe, years, progress)
    for warning in explorer.warnings():
        progress.say(f"NOTE: {warning}")
    return explorer
