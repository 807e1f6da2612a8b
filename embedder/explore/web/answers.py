"""What the API answers, from parameters as they stand in an address."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from embedder import __version__
from embedder.errors import UsageError
from embedder.explore.answer import Answer
from embedder.explore.colours import OPAQUE, principal_colours
from embedder.explore.explorer import Explorer, change_note
from embedder.explore.places import GRID, chip_at, parse_box, parse_chip, parse_chips, position_of
from embedder.explore.results import box, geojson
from embedder.explore.search import MOST_HITS, UNLIKE_WEIGHT, Hit, Question
from embedder.explore.web import coverage
from embedder.explore.web.ranks import levels_of, ranks_of
from embedder.grid import VERSIONS, Bounds
from embedder.output.credits import composites_of
from embedder.output.receipt import describe

MOST_EXAMPLES = 1_000
"""Likes, and unlikes, of a question; labels of a map of classes."""


class Problem(BaseModel):
    """Any answer that is an error."""

    detail: str = Field(description="One sentence for a person.")


class Unread(BaseModel):
    """What was published since."""

    columns: int


class YearInfo(BaseModel):
    """A year that can be searched."""

    year: int
    composite: str = Field(description="The processing version of the composites: v100 for 2020, v200 for 2021.")
    chips: int = Field(description="Chips with an embedding.")
    columns: int = Field(description="Published columns.")
    bounds: list[float] | None = Field(description="Around what is embedded: west, south, east, north.")
    indexed: bool = Field(description="Whether short questions are answered from an index.")
    attribution: str
    cost: list[str] = Field(
        description="Chips and columns with a receipt; where there are some, also their hours and energy, and their bytes."
    )


class Info(BaseModel):
    """What can be searched."""

    recipe: str
    chip_pixels: int
    width: int = Field(description="Numbers in an embedding.")
    years: list[YearInfo]
    warnings: list[str] = Field(description="What a person has to know before believing a hit.")
    change_note: str | None = Field(description="To be said with every change; null with a single year.")
    grid: list[float] = Field(description="What the grid covers: west, south, east, north.")
    limits: dict[str, float]
    basemap: str | None = Field(description="Template of the base map's tiles.")
    basemap_attribution: str | None = Field(description="Whose it is, where that is known.")
    version: str


class ChipAnswer(BaseModel):
    """A chip with an embedding."""

    chip_id: str
    year: int
    years: list[int] = Field(description="In which it has an embedding.")
    center: list[float] = Field(description="Longitude, latitude.")
    bounds: list[float] = Field(description="West, south, east, north.")
    geometry: dict[str, Any] = Field(description="The box, as GeoJSON.")
    picture: str = Field(description="Address of its picture.")


class Feature(BaseModel):
    """A hit."""

    type: str
    id: str
    geometry: dict[str, Any]
    properties: dict[str, Any] = Field(description="rank, chip_id, year, distance and percentile or score, longitude, latitude.")


class Collection(BaseModel):
    """Hits, best first: GeoJSON."""

    model_config = ConfigDict(extra="allow")
    type: str
    features: list[Feature]


class Coverage(BaseModel):
    """What is embedded: GeoJSON."""

    type: str
    features: list[dict[str, Any]] = Field(description="One, a MultiPolygon of boxes, with the year and the number of chips.")


def info(explorer: Explorer, basemap: str | None, basemap_attribution: str | None = None) -> Info:
    """What /api/info says."""
    years = []
    for year, searcher in explorer.searchers.items():
        around = coverage.bounds(searcher.database)
        published = explorer.published[year]
        cost = describe(published.receipt, columns=len(published.columns), chips=searcher.database.count)
        years.append(
            YearInfo(
                year=year,
                composite=VERSIONS[year],
                chips=searcher.database.count,
                columns=len(searcher.database.record.columns),
                bounds=_numbers(around) if around else None,
                indexed=searcher.has_index,
                attribution=composites_of(year).attribution,
                cost=[f"{name}: {text}" for name, text in cost.items()],
            )
        )
    return Info(
        recipe=explorer.recipe.name,
        chip_pixels=explorer.recipe.chip_pixels,
        width=explorer.recipe.width,
        years=years,
        warnings=explorer.warnings(),
        change_note=change_note(*explorer.years[:2]) if len(years) > 1 else None,
        grid=_numbers(GRID),
        limits={"k": MOST_HITS, "unlike_weight": UNLIKE_WEIGHT, "examples": MOST_EXAMPLES},
        basemap=basemap,
        basemap_attribution=basemap_attribution,
        version=__version__,
    )


def chip(  # noqa: PLR0917 - as they stand in the address
    explorer: Explorer, root: str, year: int, name: str | None, lon: float | None, lat: float | None
) -> ChipAnswer:
    """What /api/chip says."""
    database = explorer.searcher(year).database
    if name is not None and lon is None and lat is None:
        found = parse_chip(name, explorer.recipe.chip_pixels)
    elif name is None and lon is not None and lat is not None:
        found = chip_at(lon, lat, explorer.recipe.chip_pixels)
    else:
        raise UsageError("give either chip, or lon and lat")
    position_of(database, found)
    return ChipAnswer(
        chip_id=found.id,
        year=year,
        years=[other for other, searcher in explorer.searchers.items() if searcher.database.position(found) is not None],
        center=[round(value, 7) for value in found.bounds.center],
        bounds=_numbers(found.bounds),
        geometry=box(found.bounds),
        picture=f"{root}/api/picture/{year}/{found.id}.jpg",
    )


def search(  # noqa: PLR0917 - as they stand in the address
    explorer: Explorer, year: int, like: Sequence[str], unlike: Sequence[str], count: int, bbox: str | None
) -> tuple[list[Hit], dict[str, Any]]:
    """The hits, and what goes with them."""
    question, metadata = _question(explorer, year, (like, unlike), bbox, count)
    return explorer.searcher(year).search(question), metadata


def change(explorer: Explorer, years: str, count: int, bbox: str | None) -> tuple[list[Hit], dict[str, Any]]:
    """The hits, and what goes with them."""
    before, after = (int(year) for year in years.split(","))
    hits = explorer.changes(before, after, count, None if bbox is None else parse_box(bbox))
    return hits, explorer.metadata() | {"years": [before, after], "note": change_note(before, after)}


def every(  # noqa: PLR0917 - as they stand in the address
    explorer: Explorer, year: int | None, like: Sequence[str], unlike: Sequence[str], years: str | None, bbox: str | None
) -> tuple[Answer, dict[str, Any]]:
    """What every chip answers to a search, or to a change where `years` is given, and what goes with it."""
    bounds = None if bbox is None else parse_box(bbox)
    if years:
        before, after = (int(each) for each in years.split(","))
        note = {"years": [before, after], "note": change_note(before, after)}
        return explorer.change_scores(before, after, bounds), explorer.metadata() | note
    if year is None:
        raise UsageError("neither year nor years is given: give year and like for a search, or years for a change")
    question, metadata = _question(explorer, year, (like, unlike), bbox)
    return explorer.searcher(year).scores(question), metadata


def _question(
    explorer: Explorer, year: int, examples: tuple[Sequence[str], Sequence[str]], bbox: str | None, count: int = 1
) -> tuple[Question, dict[str, Any]]:
    """What is asked, likes and unlikes, and what goes with the answer."""
    like, unlike = (parse_chips(names, explorer.recipe.chip_pixels) for names in examples)
    for name, chips in (("like", like), ("unlike", unlike)):
        if len(chips) > MOST_EXAMPLES:
            raise UsageError(f"{name} names {len(chips):,} chips: give at most {MOST_EXAMPLES:,}")
    question = Question(like=like, unlike=unlike, count=count, bounds=None if bbox is None else parse_box(bbox))
    ids = {"like": [chip.id for chip in like], "unlike": [chip.id for chip in unlike]}
    return question, explorer.metadata() | {"year": year} | ids


def layer(answer: Answer) -> tuple[bytes, str]:
    """What /api/layer says: ranks, and where they lie."""
    ranks = ranks_of(answer)
    rows, columns = ranks.values.shape
    levels = [[level.percentile, level.value, level.chips, level.km2] for level in levels_of(answer)]
    place = {"column": ranks.column, "row": ranks.row, "columns": columns, "rows": rows, "measure": answer.measure, "levels": levels}
    return ranks.values.astype("<u2").tobytes(), json.dumps(place)


def colours(explorer: Explorer, year: int) -> tuple[bytes, str]:
    """What /api/colours says: a pixel a chip, and where they lie."""
    found = principal_colours(explorer.searcher(year).database)
    (west, north), (east, south) = found.chips.min(axis=0).tolist(), found.chips.max(axis=0).tolist()
    pixels = np.zeros((south - north + 1, east - west + 1, 4), np.uint8)
    columns, rows = (found.chips - [west, north]).T
    pixels[rows, columns, :3], pixels[rows, columns, 3] = found.colours, OPAQUE
    place = {"column": west, "row": north, "columns": pixels.shape[1], "rows": len(pixels)} | found.metadata()
    return pixels.tobytes(), json.dumps(place)


def collection(root: str, hits: Sequence[Hit], metadata: dict[str, Any]) -> dict[str, Any]:
    """The hits as GeoJSON, each with its picture's address."""
    found = geojson(hits, metadata)
    for hit, feature in zip(hits, found["features"], strict=True):
        feature["properties"]["picture"] = f"{root}/api/picture/{hit.year}/{hit.chip.id}.jpg"
    return found


def _numbers(bounds: Bounds) -> list[float]:
    return [round(value, 7) for value in vars(bounds).values()]
