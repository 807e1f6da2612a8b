"""`embedder search`. What only it needs is imported when it runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from embedder.cli.explore import open_output, output_options
from embedder.cli.options import debug_option, example, option
from embedder.console.log import format_result
from embedder.console.progress import Progress
from embedder.errors import UsageError

if TYPE_CHECKING:
    from embedder.explore.answer import Answer
    from embedder.explore.search import Hit
    from embedder.grid import Bounds, Chip


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A question, ready to be answered either way."""

    note: str
    metadata: dict[str, Any]
    where: str
    """In words, after "nothing"."""
    hits: Callable[[], "list[Hit]"]
    answer: "Callable[[], Answer]"


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """Which of every chip are wanted."""

    above: float | None = None
    within: float | None = None


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
@click.option(
    "--all", "every", is_flag=True, help="Give every chip, not the first ones: with --to a .parquet, .csv or .tif (a pixel a chip)."
)
@click.option(
    "--above", type=float, metavar="PERCENTILE", help="Of every chip those at or above this percentile: 99 for the best hundredth."
)
@click.option("--within", type=float, metavar="DISTANCE", help="Count and write the chips at most so far: 1 - cosine.")
@click.option("--to", type=click.Path(path_type=Path), help="Write a file instead: of hits .geojson, .csv or .parquet.")
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
    every: bool,  # noqa: FBT001
    above: float | None,
    within: float | None,
    to: Path | None,
) -> None:
    """Find similar chips, or the chips that changed most; or say it of every chip.

    A distance is 1 - cosine: 0 is the same, and what is far depends on the model, so that the percentile says how many percent of random
    pairs of the year are nearer. With --unlike chips are ranked by a score instead, at most 1. Of a change the percentile is that among all
    chips.
    """
    from embedder.explore import results  # noqa: PLC0415
    from embedder.explore.explorer import check_years  # noqa: PLC0415
    from embedder.explore.layers import check_layer_file  # noqa: PLC0415
    from embedder.explore.places import parse_box, parse_chips  # noqa: PLC0415
    from embedder.explore.search import check_count  # noqa: PLC0415
    from embedder.explore.vectors.catalogue import EXPLORABLE  # noqa: PLC0415

    # All that can be wrong in what was given is found before anything takes time.
    check_count(count)
    cut = _cut_of(every=every, above=above, within=within, has_distances=not (unlike or change), to=to)
    if to:
        (check_layer_file if cut else results.check_file)(to)
        if _is_given("form"):
            raise UsageError("the name after --to says the form: leave out --format")
    bounds = parse_box(bbox) if bbox else None
    progress = Progress()
    if change:
        if like or unlike or lon is not None or lat is not None or _is_given("year"):
            raise UsageError("--change ranks all chips: leave out --chip, --like, --unlike, --lon, --lat and --year")
        check_years(*change)
        asked = _changed(output, recipe, change, count, bounds, progress)
    else:
        pixels = EXPLORABLE[recipe].chip_pixels
        examples, others = _examples(like, lon, lat, pixels), parse_chips(unlike, pixels)
        asked = _similar(output, recipe, year, examples, others, progress, count=count, bounds=bounds, exact=exact)
    progress.say(asked.note)
    if cut:
        _show_cut(asked, cut, to, progress)
    else:
        _show_hits(asked, form, to, progress)


def _changed(output: str, recipe: str, years: tuple[int, int], count: int, bounds: "Bounds | None", progress: Progress) -> _Asked:  # noqa: PLR0917
    from embedder.explore.explorer import change_note  # noqa: PLC0415

    explorer = open_output(output, recipe, years, progress)
    note = change_note(*years)
    return _Asked(
        note=note,
        metadata=explorer.metadata() | {"years": list(years), "note": note},
        where=_where(bounds),
        hits=lambda: explorer.changes(*years, count, bounds),
        answer=lambda: explorer.change_scores(*years, bounds),
    )


def _similar(  # noqa: PLR0917 - as they are given
    output: str,
    recipe: str,
    year: int | None,
    like: "Sequence[Chip]",
    unlike: "Sequence[Chip]",
    progress: Progress,
    **settings: Any,  # noqa: ANN401 - Question's own
) -> _Asked:
    from embedder.explore.search import Question  # noqa: PLC0415

    explorer = open_output(output, recipe, [] if year is None else [year], progress)
    searcher = explorer.searcher(year or max(explorer.years))
    question = Question(like=like, unlike=unlike, **settings)
    ids, others = ([chip.id for chip in chips] for chips in (like, unlike))
    unlike_too = f" and unlike {' '.join(others)}" if others else ""
    return _Asked(
        note=f"like {' '.join(ids)}{unlike_too} in {searcher.database.year}",
        metadata=explorer.metadata() | {"year": searcher.database.year, "like": ids, "unlike": others},
        where=_where(question.bounds),
        hits=lambda: searcher.search(question),
        answer=lambda: searcher.scores(question),
    )


def _where(bounds: "Bounds | None") -> str:
    return " in this box: choose a larger one" if bounds else ""


def _show_hits(asked: _Asked, form: str, to: Path | None, progress: Progress) -> None:
    from embedder.explore import results  # noqa: PLC0415
    from embedder.explore.explorer import no_change_note  # noqa: PLC0415

    hits = asked.hits()
    if not hits:
        progress.say(f"nothing was found{asked.where}")
    if "years" in asked.metadata and (same := no_change_note(hits)):
        progress.say(f"NOTE: {same}")
    if to:
        results.write_file(hits, to, asked.metadata)
        progress.say(f"wrote {len(hits)} chips to {to}")
    elif form != "table":
        click.echo(results.encode(hits, form, asked.metadata).decode(), nl=False)
    elif hits:
        click.echo(results.table(hits))


def _show_cut(asked: _Asked, cut: _Cut, to: Path | None, progress: Progress) -> None:
    """Say how many of all chips are wanted, and write them."""
    from embedder.explore.layers import write_layer  # noqa: PLC0415

    answer = asked.answer()
    if not len(answer.values):
        progress.say(f"nothing was found{asked.where}")
        return
    mask = answer.above(cut.above or 0) if cut.within is None else answer.within(cut.within)
    limit = answer.threshold(cut.above or 0) if cut.within is None else cut.within
    chips, total, km2 = int(mask.sum()), len(mask), answer.km2(mask)
    text = f"{chips} of {total} chips ({100 * chips / total:.3g} %), {km2:,.0f} km2: {answer.measure} {answer.side} {limit:.6f}"
    click.echo(format_result(text, chips=chips, of=total, km2=round(km2, 1), measure=answer.measure, threshold=limit))
    if to:
        write_layer(answer.layer(asked.metadata).where(mask), to)
        progress.say(f"wrote {chips} chips to {to}")


def _cut_of(*, every: bool, above: float | None, within: float | None, has_distances: bool, to: Path | None) -> _Cut | None:
    """None where the first hits are asked for; UsageError where a cut can't be."""
    if not every and above is None and within is None:
        return None
    if above is None and within is None and to is None:
        raise UsageError("--all is for a file: give --to a name that ends with .parquet, .csv or .tif, or count with --above or --within")
    if above is not None and within is not None:
        raise UsageError("--above and --within are two ways to cut: give one")
    if above is not None and not 0 <= above <= 100:  # noqa: PLR2004 - percent
        raise UsageError(f"--above {above:g} is no percentile: give 0 to 100; 99 keeps the best hundredth")
    if within is not None and not has_distances:
        raise UsageError("--within needs a distance from something, which --unlike and --change do not have: give --above instead")
    if within is not None and not 0 <= within <= 2:  # noqa: PLR2004 - opposite
        raise UsageError(f"--within {within:g} is no distance: give 0 (the same) to 2 (opposite)")
    if any(_is_given(name) for name in ("count", "form", "exact")):
        raise UsageError("--all, --above and --within are about every chip: leave out -k, --format and --exact")
    return _Cut(above=above, within=within)


def _is_given(name: str) -> bool:
    """Whether an option stands on the command line, not in the environment."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


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
