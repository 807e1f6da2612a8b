"""`embedder classify` and `embedder map`: something of every chip. What only they need is imported when they run."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from embedder.cli.explore import open_output, output_options
from embedder.cli.options import debug_option, example, option
from embedder.console.log import format_result
from embedder.console.progress import Progress
from embedder.errors import UsageError

if TYPE_CHECKING:
    from embedder.explore.classification import Classification

METHODS = ("logistic", "knn")


@click.command(
    "classify", epilog=example("embedder classify --output build/steps --labels build/demo/source/labels.geojson --to build/classes.tif")
)
@output_options
@option("--year", type=int, help="Year to classify.  [default: the last that is published]")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    required=True,
    help="Points or polygons with a class each: .geojson, .gpkg or .parquet in any CRS, or .csv with lon, lat and class.",
)
@click.option("--class-column", default="class", show_default=True, help="The labels' column with the classes.")
@click.option(
    "--method", type=click.Choice(METHODS), default=METHODS[0], show_default=True, help="Logistic regression, or nearest neighbours."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the test's folds and intervals; equal seeds, equal answers.",
)
@click.option("--bbox", metavar="W,S,E,N", help="Only chips that touch this box, degrees; learnt is from all labels.")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="The .tif, .parquet or .csv file to write.")
@debug_option
def classify_command(  # noqa: PLR0917 - click gives them by name
    output: str,
    recipe: str,
    year: int | None,
    labels: Path,
    class_column: str,
    method: str,
    seed: int,
    bbox: str | None,
    to: Path,
) -> None:
    """Learn classes from labelled places, test them on other ground, and say the class of every chip.

    The test learns in some blocks of space and asks in the others; its figures have 95 % intervals. The file has a class and its
    probability for each chip.
    """
    from embedder.explore import label_shapes, layers  # noqa: PLC0415
    from embedder.explore.classification import check_method, classify  # noqa: PLC0415
    from embedder.explore.labels import read_labels  # noqa: PLC0415
    from embedder.explore.places import parse_box  # noqa: PLC0415
    from embedder.explore.vectors.catalogue import EXPLORABLE  # noqa: PLC0415

    # All that can be wrong in what was given is found before anything takes time.
    layers.check_layer_file(to)
    label_shapes.check_file(labels)
    check_method(method)
    bounds = parse_box(bbox) if bbox else None
    progress = Progress()
    given = read_labels(labels, EXPLORABLE[recipe].chip_pixels, class_column)
    explorer = open_output(output, recipe, [] if year is None else [year], progress)
    database = explorer.searcher(year or max(explorer.years)).database
    found = classify(database, given, method=method, seed=seed, bounds=bounds)
    for note in found.notes:
        progress.say(f"NOTE: {note}")
    layer = replace(found.layer, metadata=explorer.metadata() | found.layer.metadata)
    layers.write_layer(layer, to)
    chips, sizes = len(layer.chips), layers.chip_km2(layer.chips[:, 1], layer.recipe.chip_pixels)
    areas = {name: float(sizes[mask].sum()) for name, mask in found.by_class().items()}
    said = ", ".join(f"{name} {area:,.0f} km2" for name, area in areas.items())
    lines = [*describe(found), f"wrote {chips:,} chips of {database.year} to {to}: {said}"]
    validation = found.validation if isinstance(found.validation, str) else asdict(found.validation)
    click.echo(format_result("\n".join(lines), file=str(to), chips=chips, km2=areas, labelled=found.labelled, validation=validation))


def describe(found: "Classification") -> list[str]:
    """Lines to read: what was learnt from, how well it does elsewhere, and the confusion matrix."""
    from embedder.explore.classification import say_estimate  # noqa: PLC0415

    labelled = ", ".join(f"{name} {count:,}" for name, count in found.labelled.items())
    lines = [f"learnt from {sum(found.labelled.values()):,} chips: {labelled}", *found.accuracy]
    tested = found.validation
    if isinstance(tested, str):
        return lines
    names = list(found.labelled)
    width = max(map(len, [*names, "true class"]))
    columns = [max(len(name), 7) for name in names]
    heads = "  ".join(f"{name:>{size}}" for name, size in zip(names, columns, strict=True))
    lines.append(f"{'true class':{width}}  said: {heads}  F1")
    for name, row, f1 in zip(names, tested.scores.confusion, tested.scores.f1, strict=True):
        counts = "  ".join(f"{count:>{size},}" for count, size in zip(row, columns, strict=True))
        lines.append(f"{name:{width}}        {counts}  {say_estimate(f1)}")
    return lines


@click.command("map", epilog=example("embedder map --output build/steps --pca --to build/colours.png"))
@output_options
@option("--year", type=int, help="Year to show.  [default: the last that is published]")
@click.option("--pca", is_flag=True, help="In false colour: the first three principal components as red, green and blue.")
@click.option("--bbox", metavar="W,S,E,N", help="Only chips that touch this box, degrees; the components are theirs.")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="The .tif (GeoTIFF) or .png file to write.")
@debug_option
def map_command(output: str, recipe: str, year: int | None, pca: bool, bbox: str | None, to: Path) -> None:  # noqa: FBT001, PLR0917 - click's
    """Show all embeddings in one picture, a pixel a chip: chips that are alike have like colours."""
    from embedder.explore.colours import check_picture, principal_colours, write_picture  # noqa: PLC0415
    from embedder.explore.places import parse_box  # noqa: PLC0415

    if not pca:
        raise UsageError("nothing says what the map shows: give --pca")
    check_picture(to)
    bounds = parse_box(bbox) if bbox else None
    explorer = open_output(output, recipe, [] if year is None else [year], Progress())
    database = explorer.searcher(year or max(explorer.years)).database
    found = principal_colours(database, bounds)
    write_picture(found, to, explorer.metadata())
    shares = ", ".join(f"{colour} {share:.1%}" for colour, share in zip(("red", "green", "blue"), found.explained, strict=True))
    chips = len(found.chips)
    fitted = f", fitted on {found.fitted:,} of them" if found.fitted < chips else ""
    lines = [f"explained variance: {shares}{fitted}", f"wrote {chips:,} chips of {database.year} to {to}"]
    click.echo(format_result("\n".join(lines), file=str(to), chips=chips, **found.metadata()))
