"""The package in a notebook: `import embedder`, then `embedder.open`, `embedder.run` and `embedder.embed`.

Chips come as GeoDataFrames (EPSG:4326, a box a row), vectors as arrays whose rows are theirs, and every error is an `EmbedderError` whose
one line says what to do. All of it is what the commands do, by the same code. Nothing is said unless `progress=True`; then it is on
standard error. Like the commands, the three functions first forget other programs' settings of GDAL and PROJ in this process's environment,
as a conda or QGIS leaves them: they lead to another release's data.
"""

from collections.abc import Iterable
from os import PathLike
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embedder.console.progress import Progress
from embedder.errors import UsageError
from embedder.explore.embeddings import Box, Embeddings, box_text
from embedder.explore.vectors.catalogue import EXPLORABLE, published_years
from embedder.grid import VERSIONS, parse_columns
from embedder.machine import forget_other_installs
from embedder.recipes import RECIPES, Precision, Recipe
from embedder.source.inventory import PUBLIC_SOURCE
from embedder.storage import open_readable

__all__ = ["Embeddings", "embed", "open", "run"]


def open(  # noqa: A001 - as rasterio and h5py have it
    output: str | PathLike[str], recipe: str | None = None, year: int | None = None, *, progress: bool = False
) -> Embeddings:
    """What is published under an output, read as it is asked for: first its manifests alone.

    `output` is a folder, s3://bucket/prefix (unsigned where there are no AWS credentials) or https://host/path; `recipe` is `clay-v0.1`
    by default, or `clay-v0.1-published`, `clay-v1.5`, `v002`; without a year, all that are published are opened.
    ConfigurationError where nothing is published, TemporaryError where it is out of reach.
    """
    forget_other_installs()
    chosen, output = _recipe(recipe, EXPLORABLE), str(output)
    storage, said = open_readable(output), Progress(quiet=not progress)
    if storage.remark:
        said.say(f"NOTE: {storage.remark}")
    return Embeddings(output, published_years(storage, chosen, [] if year is None else [year]), said)


def run(
    output: str | PathLike[str],
    year: int,
    *,
    columns: str | Iterable[int] = "all",
    bbox: Box | None = None,
    area: str | PathLike[str] | None = None,
    recipe: str | None = None,
    source: str = PUBLIC_SOURCE,
    weights: str | None = None,
    weights_sha256: str | None = None,
    precision: Precision = "auto",
    force: bool = False,
    device: str = "auto",
    columns_together: int | None = None,
    progress: bool = False,
) -> Embeddings:
    """Embed columns of a year on this machine, publish them, and open them: what `submit.py --local` does, with the same options.

    `columns` are numbers from 0 to 1358, or a text such as "1155-1158,17"; of a box (west, south, east, north, degrees) or an area (a file
    of polygons that GeoPandas reads) only the chips that it overlaps are embedded. Finished columns are skipped, unless by `force`.
    `weights` is a path, an https or s3 address, or random:SEED; by default Clay's public checkpoint. Where a column fails, nothing is
    published, and the first error is raised.
    """
    forget_other_installs()
    from embedder.area_file import area_of  # noqa: PLC0415 - only here
    from embedder.steps.local import run_local  # noqa: PLC0415 - rasterio comes with it
    from embedder.steps.plan import PlanOptions  # noqa: PLC0415

    chosen, output = _recipe(recipe, RECIPES), str(output)
    if year not in VERSIONS:
        raise UsageError(f"there is no composite of {year}: choose {' or '.join(map(str, VERSIONS))}")
    if precision not in get_args(Precision):
        raise UsageError(f"no such precision: {precision!r}; choose {', '.join(get_args(Precision))}")
    options = PlanOptions(
        recipe=chosen,
        year=year,
        columns=_columns(columns),
        area=area_of(box_text(bbox), None if area is None else str(area), chosen.chip_pixels),
        source=source,
        weights=chosen.weights if weights is None else weights,
        weights_sha256=weights_sha256,
        precision=precision,
    )
    run_local(output, options, Progress(quiet=not progress), force=force, device=device, columns_together=columns_together).raise_failures()
    return open(output, chosen.name, year, progress=progress)


def embed(
    pixels: NDArray[np.uint16],
    lonlat: ArrayLike,
    year: int,
    *,
    recipe: str | None = None,
    weights: str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    progress: bool = False,
) -> NDArray[np.float32]:
    """Embeddings (n, width) of your own chips, one vector a chip, as a column's file has them: not of length 1.

    `pixels` is (n, 4, s, s), uint16: red, green, blue and near infrared as reflectance x 10000, of 10 m, s as the recipe has it (512, for
    `clay-v1.5` 256). `lonlat` is (n, 2), the chips' centres, degrees, longitude first. A pixel that is 0 is nodata in the composites, which
    the model never sees: leave such chips out. `weights` is as in `run`; what it names is fetched once and kept, as the last model is.
    UsageError where an array is of another form, WeightsError where the weights can't be used.
    """
    forget_other_installs()
    from embedder.models.own_chips import embed_chips  # noqa: PLC0415 - imports torch

    chosen, places = _recipe(recipe, RECIPES), np.asarray(lonlat, np.float64)
    location = chosen.weights if weights is None else weights
    with Progress(quiet=not progress).download() as report:
        return embed_chips(pixels, places, year, chosen, location, device=device, precision=precision, progress=report)


def _columns(columns: str | Iterable[int]) -> list[int]:
    """Sorted, each once."""
    try:
        return parse_columns(columns if isinstance(columns, str) else ",".join(map(str, columns)))
    except ValueError as error:
        raise UsageError(str(error)) from None


def _recipe(name: str | None, known: dict[str, Recipe]) -> Recipe:
    if name is not None and name not in known:
        raise UsageError(f"there is no recipe {name!r}: choose {', '.join(known)}")
    return known[name or next(iter(known))]
