"""What a notebook opens: chips as GeoDataFrames, vectors as arrays, and the answers of the commands for them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embedder.console.progress import Progress
from embedder.errors import NotFoundError, UsageError
from embedder.explore.answer import Answer
from embedder.explore.frames import frame, layer_frame, rows_within
from embedder.explore.layers import Layer, check_layer_file, write_layer
from embedder.explore.places import chip_at, parse_box, parse_chip, position_of
from embedder.explore.search import Question, Searcher
from embedder.explore.vectors.catalogue import Published
from embedder.explore.vectors.database import Database
from embedder.explore.vectors.part import FEW, Part, columns_in, columns_of
from embedder.grid import Bounds, Chip
from embedder.recipes import Recipe

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

Box = tuple[float, float, float, float]
"""West, south, east, north, degrees: the chips that touch it with more than an edge are meant."""
Place = str | tuple[float, float]
"""A chip: by its id, c1155r0287, or by a longitude and latitude in it, degrees."""


class Embeddings:
    """One recipe of one output, in one year or more. `embedder.open` and `embedder.run` make it.

    Where a method takes a year, the last one is meant if none is given. Vectors have length 1: their product is a cosine.
    A question about a box, or to an output of at most 64 columns, reads the files of the columns that it needs, once. Any other brings the
    year into the cache that `embedder search` uses, which needs the extra `explore`.
    """

    def __init__(self, output: str, published: Sequence[Published], progress: Progress) -> None:
        self._output, self._progress = output, progress
        self._published = {each.year: each for each in published}
        self._parts: dict[int, Part] = {}
        self._whole: dict[int, Searcher] = {}

    def __repr__(self) -> str:
        columns = ", ".join(f"{year}: {len(published.columns)} columns" for year, published in self._published.items())
        notes = "".join(f"\nNOTE: {warning}" for warning in self.warnings)
        return f"<Embeddings {self.recipe.name} in {self._output}, {columns}>{notes}"

    @cached_property
    def recipe(self) -> Recipe:
        """Model, preprocessing, chip size (pixels) and width (numbers a vector)."""
        return next(iter(self._published.values())).recipe

    @property
    def years(self) -> list[int]:
        """Those that are open."""
        return list(self._published)

    @property
    def warnings(self) -> list[str]:
        """What to know before believing any of it."""
        return list(dict.fromkeys(each.warning for each in self._published.values() if each.warning))

    @property
    def chips(self) -> "GeoDataFrame":
        """Every chip of the last year, a new frame each time: see `chips_in`."""
        return self.chips_in()

    def chips_in(self, bbox: Box | None = None, year: int | None = None) -> "GeoDataFrame":
        """The embedded chips of a box or of all: chip_id, year, longitude and latitude of the centre, and the chip's box as geometry.

        They go from west to east, then from north to south; the frame's index counts the rows of `vectors` for the same box and year.
        """
        database, positions = self._rows(bbox, year)
        return frame(database.chips[positions], self.recipe.chip_pixels, database.year)

    def vectors(self, bbox: Box | None = None, year: int | None = None) -> NDArray[np.float32]:
        """Their vectors, (rows, width), of length 1, in the order of `chips_in`: all of a continent's year are 2.4 GB."""
        database, positions = self._rows(bbox, year)
        return database.vectors(positions)

    def at(self, lon: ArrayLike, lat: ArrayLike, year: int | None = None) -> NDArray[np.float32]:
        """The vector of the chip that covers a place, (width,), or (n, width) of n places; degrees.

        UsageError off the grid; NotFoundError, with the reason and the nearest chip that has one, where a chip has no embedding.
        """
        lons, lats = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
        chips = [chip_at(x, y, self.recipe.chip_pixels) for x, y in zip(lons.ravel().tolist(), lats.ravel().tolist(), strict=True)]
        year = self._year(year)
        database = self._part(year, columns_of(self._published[year], chips))
        found = database.vectors([position_of(database, chip) for chip in chips])
        return found.reshape(*lons.shape, -1)

    def search(
        self,
        like: Place | Iterable[Place],
        unlike: Place | Iterable[Place] = (),
        *,
        k: int = 10,
        bbox: Box | None = None,
        year: int | None = None,
        exact: bool = False,
    ) -> "GeoDataFrame":
        """The k chips (1 to 1000) most like some and unlike others, without these, best first, by `rank`.

        Each has its `distance` to the query, 1 - cosine, and the `percentile` of random pairs of the year that are nearer to each other,
        which a box read by itself can't tell; or, of a question with unlikes, the `score` that ranks it, the cosine. `exact` compares
        every chip also where there is an index. NotFoundError where a chip of the question has no embedding.
        """
        question = self._question(like, unlike, bbox, count=k, exact=exact)
        database = self._database(self._year(year), question.bounds, [*question.like, *question.unlike])
        hits = self._searcher(database).search(question)
        chips = np.array([(hit.chip.column, hit.chip.row) for hit in hits], np.int64).reshape(-1, 2)
        said = ["score"] if question.unlike else ["distance", "percentile"] if self._is_whole(database) else ["distance"]
        ranked = {name: [getattr(hit, name) for hit in hits] for name in ("rank", *said)}
        return frame(chips, self.recipe.chip_pixels, database.year, **ranked)

    def scores(
        self,
        like: Place | Iterable[Place],
        unlike: Place | Iterable[Place] = (),
        *,
        bbox: Box | None = None,
        year: int | None = None,
        to: str | PathLike[str] | None = None,
    ) -> "GeoDataFrame":
        """The same question's answer for every chip of the box or year, those of the question among them, in the order of `chips_in`.

        `to` also writes it, as `embedder search --all` does: .tif (one pixel a chip), .parquet or .csv.
        """
        _check_file(to)
        question = self._question(like, unlike, bbox)
        database = self._database(self._year(year), question.bounds, [*question.like, *question.unlike])
        asked = {name: [chip.id for chip in chips] for name, chips in (("like", question.like), ("unlike", question.unlike))}
        return self._answered(self._searcher(database).scores(question), asked, to)

    def change(self, before: int, after: int, *, bbox: Box | None = None, to: str | PathLike[str] | None = None) -> "GeoDataFrame":
        """The `distance` between a chip's two years, 1 - cosine, for each that both have, in the order of `chips_in`; `to` as in `scores`.

        Its `percentile` is among all chips' changes, which a box read by itself can't tell.
        UsageError where the two were embedded with different weights. Some of it is the composites' different processing, not ground.
        """
        from embedder.explore.explorer import Explorer, change_note, check_years  # noqa: PLC0415 - rasterio comes with it

        _check_file(to)
        check_years(before, after)
        bounds, years = _bounds(bbox), [self._year(before), self._year(after)]
        searchers = {year: self._searcher(self._database(year, bounds)) for year in years}
        explorer = Explorer(self.recipe, [self._published[year] for year in years], searchers)
        asked = {"years": [before, after], "note": change_note(before, after)}
        return self._answered(explorer.change_scores(before, after, bounds), asked, to)

    def classify(
        self,
        labels: "str | PathLike[str] | GeoDataFrame",
        *,
        column: str = "class",
        method: str = "logistic",
        seed: int = 0,
        bbox: Box | None = None,
        year: int | None = None,
        to: str | PathLike[str] | None = None,
    ) -> "GeoDataFrame":
        """A class and its probability for every chip, learnt from labelled ones: what `embedder classify` does; `to` as in `scores`.

        `labels` is a file or GeoDataFrame of points or polygons whose `column` has the class; `method` is `logistic` or `knn`. The frame's
        `attrs` say how well the method does on other ground than it has learnt. ConfigurationError where the labels don't do.
        """
        from embedder.explore.classification import check_method, classify  # noqa: PLC0415
        from embedder.explore.labels import labels_of, read_labels  # noqa: PLC0415

        _check_file(to)
        check_method(method)
        pixels, bounds = self.recipe.chip_pixels, _bounds(bbox)
        read = read_labels(Path(labels), pixels, column) if isinstance(labels, str | PathLike) else labels_of(labels, pixels, column)
        chips = [Chip(column=x, row=y, pixels=pixels) for x, y in read.chips.tolist()]
        database = self._database(self._year(year), bounds, chips)
        found = classify(database, read, method=method, seed=seed, bounds=bounds)
        return self._shown(found.layer, to, **({"notes": list(found.notes)} if found.notes else {}))

    def _answered(self, answer: Answer, asked: dict[str, Any], to: str | PathLike[str] | None) -> "GeoDataFrame":
        if not self._is_whole(answer.database):
            answer = replace(answer, percentiles=None)
        return self._shown(answer.layer(asked), to)

    def _is_whole(self, database: Database) -> bool:
        """Whether it holds the whole year, so that it says what is common there."""
        return database.record.columns.keys() == self._published[database.year].columns.keys()

    def _shown(self, layer: Layer, to: str | PathLike[str] | None, **more: Any) -> "GeoDataFrame":  # noqa: ANN401 - whatever JSON can hold
        """As a frame, and as a file where one is named: both say what it is, and what to know before believing it."""
        warnings = {"warnings": self.warnings} if self.warnings else {}
        layer = replace(layer, metadata={"recipe": self.recipe.name} | warnings | layer.metadata | more)
        if to is not None:
            write_layer(layer, Path(to))
        return layer_frame(layer)

    def _rows(self, bbox: Box | None, year: int | None) -> tuple[Database, NDArray[np.int64]]:
        bounds = _bounds(bbox)
        database = self._database(self._year(year), bounds)
        return database, rows_within(database, bounds)

    def _database(self, year: int, bounds: Bounds | None = None, chips: Sequence[Chip] = ()) -> Database:
        """One that holds every chip of the box, or of the year without one, and these."""
        published = self._published[year]
        wanted = columns_in(published, bounds)
        if bounds is None and len(wanted) > FEW and year not in self._whole:
            from embedder.explore.vectors.ingest import open_database  # noqa: PLC0415 - LanceDB comes with it

            self._whole[year] = Searcher(open_database(published, self._progress))
        return self._part(year, [*wanted, *columns_of(published, chips)])

    def _part(self, year: int, columns: Sequence[int]) -> Database:
        """One that holds these columns."""
        if year in self._whole:
            return self._whole[year].database
        if year not in self._parts:
            self._parts[year] = Part(self._published[year])
        self._parts[year].add(columns, self._progress)
        return self._parts[year].database

    def _searcher(self, database: Database) -> Searcher:
        return self._whole.get(database.year) or Searcher(database)  # that of a part grows

    def _year(self, year: int | None) -> int:
        if year is None:
            return max(self._published)
        if year not in self._published:
            raise NotFoundError(f"{year} is not open: choose {' or '.join(map(str, self._published))}, or open it")
        return year

    def _question(self, like: Place | Iterable[Place], unlike: Place | Iterable[Place], bbox: Box | None, **settings: Any) -> Question:  # noqa: ANN401 - Question's own
        return Question(like=self._chips(like), unlike=self._chips(unlike), bounds=_bounds(bbox), **settings)

    def _chips(self, places: Place | Iterable[Place]) -> list[Chip]:
        several = [places] if isinstance(places, str) or _is_lonlat(places) else places
        return [self._chip(place) for place in several]

    def _chip(self, place: Any) -> Chip:  # noqa: ANN401 - what a person gives
        if isinstance(place, str):
            return parse_chip(place, self.recipe.chip_pixels)
        if not _is_lonlat(place):
            raise UsageError(f"{place!r:.80} is no chip: give an id such as c1155r0287, or a longitude and latitude, degrees")
        return chip_at(*place, self.recipe.chip_pixels)


def _check_file(to: str | PathLike[str] | None) -> None:
    """UsageError where nothing can be written there, before anything takes time."""
    if to is not None:
        check_layer_file(Path(to))


def _is_lonlat(place: object) -> TypeGuard[tuple[float, float]]:
    return isinstance(place, tuple) and len(place) == len(("lon", "lat")) and all(isinstance(each, Real) for each in place)


def box_text(bbox: Box | None) -> str | None:
    """A box as the commands take it."""
    return None if bbox is None else ",".join(map(str, bbox))


def _bounds(bbox: Box | None) -> Bounds | None:
    return None if bbox is None else parse_box(str(box_text(bbox)))
