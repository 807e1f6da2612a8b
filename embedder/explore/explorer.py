"""Everything that search and the page need of one output: each year's cache, and what is said about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, NotFoundError, UsageError
from embedder.explore.answer import Answer
from embedder.explore.pictures.images import SILENCE_S, TilePictures
from embedder.explore.pictures.pictures import Pictures
from embedder.explore.pictures.wms import LAYER, URL, Wms
from embedder.explore.search import Hit, Searcher, change_scores, changes
from embedder.explore.vectors.catalogue import EXPLORABLE, Published, published_years
from embedder.explore.vectors.ingest import open_database
from embedder.grid import VERSIONS, Bounds
from embedder.recipes import Recipe
from embedder.source.inventory import PUBLIC_SOURCE, open_source
from embedder.storage import open_readable

SAME = 0.00001
"""A distance that rounding alone can make."""


@dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """Where pictures come from. UsageError or ConfigurationError where that can't be."""

    wms: str | None = None
    """An address, or `none`; by default ESA WorldCover's, if what was embedded is its public bucket."""
    layer: str = LAYER
    source: str | None = None
    """Where the tiles are; by default where the run read them."""

    def __post_init__(self) -> None:
        if self.source:
            open_source(self.source)
        if self.wms:
            self.make_wms(self.wms)

    def make_wms(self, address: str) -> Wms | None:
        """The WMS at that address, with this layer."""
        return None if address.lower() == "none" else Wms(address, self.layer)


class Explorer:
    """One recipe of one output, in one year or more."""

    def __init__(self, recipe: Recipe, published: Sequence[Published], searchers: dict[int, Searcher]) -> None:
        self.recipe, self.searchers = recipe, searchers
        self.published = {each.year: each for each in published}

    def take(self, other: "Explorer") -> None:
        """Be as another one is, opened later; who still reads keeps the rows that were there."""
        self.searchers, self.published = other.searchers, other.published

    @property
    def years(self) -> list[int]:
        """Those that can be searched."""
        return list(self.searchers)

    def warnings(self) -> list[str]:
        """What a person has to know before believing a hit."""
        return list(dict.fromkeys(published.warning for published in self.published.values() if published.warning))

    def metadata(self) -> dict[str, Any]:
        """What goes with any hits."""
        warnings = self.warnings()
        return {"recipe": self.recipe.name} | ({"warnings": warnings} if warnings else {})

    def searcher(self, year: int) -> Searcher:
        """Of a year; NotFoundError where it is not there."""
        if year not in self.searchers:
            raise NotFoundError(f"{year} can't be searched here: choose {' or '.join(map(str, self.years))}")
        return self.searchers[year]

    def changes(self, before: int, after: int, count: int, bounds: Bounds | None = None) -> list[Hit]:
        """The chips that differ most between two years."""
        self._check_comparable(before, after)
        return changes(self.searcher(before).database, self.searcher(after).database, count, bounds)

    def change_scores(self, before: int, after: int, bounds: Bounds | None = None) -> Answer:
        """How far each chip moved between two years."""
        self._check_comparable(before, after)
        return change_scores(self.searcher(before).database, self.searcher(after).database, bounds)

    def _check_comparable(self, before: int, after: int) -> None:
        check_years(before, after)
        runs = [self.published[year].run for year in (before, after) if year in self.published]
        if len({run.weights_sha256 for run in runs if run}) > 1:
            raise UsageError(
                f"{before} and {after} were embedded with different weights: their distances mean nothing; embed one of them again"
            )

    def pictures(self, options: PictureOptions) -> Pictures:
        """The chips' pictures, kept beside the embeddings' cache."""
        runs = {year: published.run for year, published in self.published.items() if published.run}
        sources = [run.source for run in runs.values()] or [PUBLIC_SOURCE]
        wms = options.make_wms(options.wms or (URL if {*sources} == {PUBLIC_SOURCE} else "none"))  # ESA's shows no other ground
        location = options.source or sources[0]
        try:
            source = open_source(location, silence_s=SILENCE_S)
        except ConfigurationError as error:
            if options.source:
                raise
            Progress().say(f"NOTE: no pictures from the run's tiles: {error}")
            tiles = None
        else:
            location = source.location
            tiles = TilePictures(source, {year: run.inventory for year, run in runs.items() if run.source == location})
        kind = sha256(f"{options} {location}".encode()).hexdigest()[:8]  # pictures of another layer are others
        folder = next(iter(self.searchers.values())).database.folder.parent / f"pictures-{kind}"
        return Pictures(folder, wms, tiles)


def open_explorer(output: str, recipe: str, years: Sequence[int], progress: Progress) -> Explorer:
    """Bring the cache up to what is published there, of these years or of all, and open it."""
    chosen = EXPLORABLE[recipe]
    storage = open_readable(output)
    if storage.remark:
        progress.say(f"NOTE: {storage.remark}")
    published = published_years(storage, chosen, years)
    return Explorer(chosen, published, {each.year: Searcher(open_database(each, progress)) for each in published})


def unread(explorer: Explorer, output: str, years: Sequence[int]) -> int:
    """How many columns are published there, of these years or of all, that the explorer has not, or has as they were before."""
    count = 0
    for published in published_years(open_readable(output), explorer.recipe, years):
        searcher = explorer.searchers.get(published.year)
        stored = searcher.database.record.columns if searcher else {}
        known = {column: kept.identity for column, kept in stored.items()}
        count += sum(known.get(column) != file.identity for column, file in published.columns.items())
    return count


def check_years(before: int, after: int) -> None:
    """UsageError where nothing can have changed."""
    if before == after:
        raise UsageError(f"change is between two years, and both are {before}: give 2020 and 2021")


def no_change_note(hits: Sequence[Hit]) -> str | None:
    """What has to be said where the first hits of a change differ by nothing."""
    if not hits or (hits[0].distance or 0) > SAME:
        return None
    return f"no chip differs by more than {SAME:g}: the two years hold the same embeddings here, and the order means nothing"


def change_note(before: int, after: int) -> str:
    """What has to be said of every change between two years."""
    return (
        f"{before} is composite {VERSIONS[before]} and {after} is {VERSIONS[after]}, made by different processing: "
        "some of the change is processing, not ground"
    )
