"""Ranking: the chips most like some and unlike others, and the chips that changed most between two years."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from embedder.errors import UsageError
from embedder.explore.answer import Answer
from embedder.explore.places import position_of
from embedder.explore.vectors.column_rows import Vectors
from embedder.explore.vectors.database import BLOCK_ROWS, Database, Mask
from embedder.explore.vectors.index import ERRORS, INDEX_FROM, Index, cache_errors_at
from embedder.explore.vectors.pairs import pair_distances, percentiles_of
from embedder.grid import NORTH, TILE_PIXELS, WEST, Bounds, Chip

UNLIKE_WEIGHT = 0.5
"""Of the mean of the negative examples against that of the positive ones: with 1, being far from those outweighs being near these."""
MOST_HITS = 1_000
MOST_FROM_INDEX = 100
"""Hits for which the index finds enough candidates; more are found exactly."""
LEAST_LENGTH = 1e-3
"""Of a query: likes and unlikes that leave less cancel each other out."""

Scores = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A chip that was found."""

    rank: int
    """From 1."""
    chip: Chip
    year: int
    distance: float | None = None
    """1 - cosine, to the query or, of a change, between the years: 0 the same, 2 opposite. None of a question with unlikes."""
    score: float | None = None
    """Of a question with unlikes: the cosine to the direction that leads to the likes and away from them, 1 at most."""
    percentile: float | None = None
    """How many percent of random pairs of the year are nearer; of a change, how many of its chips changed less."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is looked for."""

    like: Sequence[Chip]
    unlike: Sequence[Chip] = ()
    count: int = 10
    bounds: Bounds | None = None
    """Only chips that touch this box."""
    exact: bool = False
    """Compare every chip, also where there is an index."""


class Searcher:
    """Answers questions about one year. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._index: Index | None = None
        if database.count >= INDEX_FROM and Index.exists(database.folder):
            with cache_errors_at(database.folder):
                index = Index(database.folder, database.recipe.width)
                self._index = index if index.is_trained else None

    @property
    def has_index(self) -> bool:
        """Whether short questions are answered from an index."""
        return self._index is not None

    def search(self, question: Question) -> list[Hit]:
        """The nearest chips, without those of the question. NotFoundError where one of these has no embedding."""
        check_count(question.count)
        like, unlike, query = self._query(question)
        examples = [*like, *unlike]
        # An index is trained for places where chips are: a difference, a small box and long lists are answered exactly.
        found = None
        if self._index and not (unlike or question.bounds or question.exact) and question.count <= MOST_FROM_INDEX:
            found = self._from_index(self._index, query, question.count + len(examples), examples)
        if found is None:
            found = self._exactly(query, self._mask(question), examples)
        positions, scores = found
        best = top(scores, question.count)
        best = best[np.isfinite(scores[best])]
        positions, scores = positions[best], scores[best]
        percentiles = None if unlike else percentiles_of(_distances(scores), self.pairs)
        return [
            Hit(
                rank=index + 1,
                chip=self.database.chip(int(position)),
                year=self.database.year,
                **_said(scores[index], None if percentiles is None else percentiles[index], has_unlikes=bool(unlike)),
            )
            for index, position in enumerate(positions)
        ]

    def scores(self, question: Question) -> Answer:
        """What every chip of the year or the box answers, the question's own among them; its count is of no meaning here."""
        _, unlike, query = self._query(question)
        mask, order = self._mask(question), self.database.sorted_keys()[1]
        positions = order[mask[order]]
        scores = self._exactly(query, mask, [])[1]
        if unlike:
            return Answer(database=self.database, positions=positions, measure="score", values=scores[positions])
        distances = _distances(scores[positions])
        percentiles = percentiles_of(distances, self.pairs)
        return Answer(database=self.database, positions=positions, measure="distance", values=distances, percentiles=percentiles)

    @cached_property
    def pairs(self) -> NDArray[np.float32]:
        """1 - cosine of random pairs of the year, ascending."""
        return pair_distances(self.database)

    def _from_index(
        self, index: Index, query: NDArray[np.float32], count: int, examples: list[int]
    ) -> tuple[NDArray[np.int64], Scores] | None:
        """Candidates by the index, compared exactly; None where its files are gone."""
        try:
            found = index.candidates(query, count)
        except ERRORS:  # another process made the cache anew; the vectors stay open here
            self._index = None
            return None
        found = found[found < self.database.rows]
        positions = np.setdiff1d(found[self.database.live[found]], examples)
        return positions, self.database.vectors(positions) @ query

    def _exactly(self, query: NDArray[np.float32], mask: Mask, examples: list[int]) -> tuple[NDArray[np.int64], Scores]:
        """Every row that is meant."""
        scores = np.full(self.database.rows, -np.inf, np.float32)
        for start, block in self.database.blocks(mask):
            np.matmul(block, query, out=scores[start : start + len(block)])
        meant = np.flatnonzero(mask)
        self.database.check_scores(meant, scores[meant])
        scores[~mask] = -np.inf
        scores[examples] = -np.inf
        return np.arange(len(scores)), scores

    def _query(self, question: Question) -> tuple[list[int], list[int], NDArray[np.float32]]:
        """The rows of the likes and of the unlikes, and the direction to look in."""
        like, unlike = self._positions(question.like), self._positions(question.unlike)
        if both := set(like) & set(unlike):
            raise UsageError(f"chip {self.database.chip(min(both)).id} is both like and unlike: leave out one")
        return like, unlike, combine(self.database.vectors(like), self.database.vectors(unlike))

    def _mask(self, question: Question) -> Mask:
        return self.database.live if question.bounds is None else self.database.live & within(self.database, question.bounds)

    def _positions(self, chips: Sequence[Chip]) -> list[int]:
        return [position_of(self.database, chip) for chip in dict.fromkeys(chips)]


def check_count(count: int) -> None:
    """UsageError where a list would be empty or too long."""
    if not 1 <= count <= MOST_HITS:
        raise UsageError(f"k is {count}: ask for 1 to {MOST_HITS} chips")


def combine(like: Vectors, unlike: Vectors) -> NDArray[np.float32]:
    """The direction to look in: the mean of the positive examples less a share of the mean of the negative ones, of length 1."""
    if not len(like):
        raise UsageError("no chip is given to look for: name at least one that hits are to be like")
    query = like.mean(axis=0) - (UNLIKE_WEIGHT * unlike.mean(axis=0) if len(unlike) else 0)
    length = float(np.linalg.norm(query))
    if length < LEAST_LENGTH:
        raise UsageError("what hits are to be like and unlike cancels out: leave out some of the examples")
    unit: NDArray[np.float32] = (query / length).astype(np.float32)
    return unit


def top(scores: Scores, count: int) -> NDArray[np.int64]:
    """The places of the highest scores, highest first; of equal ones the first place first."""
    if len(scores) > count:
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        places = np.flatnonzero(scores >= least)
    else:
        places = np.arange(len(scores))
    order: NDArray[np.int64] = places[np.argsort(-scores[places], kind="stable")][:count]
    return order


def within(database: Database, bounds: Bounds) -> Mask:
    """The rows whose chip touches a box with more than its edge."""
    pixels = database.recipe.chip_pixels
    west, east = ((value - WEST) * TILE_PIXELS / pixels for value in (bounds.west, bounds.east))
    north, south = ((NORTH - value) * TILE_PIXELS / pixels for value in (bounds.north, bounds.south))
    columns, rows = database.chips[:, 0], database.chips[:, 1]
    mask: Mask = (columns + 1 > west) & (columns < east) & (rows + 1 > north) & (rows < south)
    return mask


def change_scores(before: Database, after: Database, bounds: Bounds | None = None) -> Answer:
    """How far each chip that is embedded in both years moved."""
    _, old, new = np.intersect1d(before.sorted_keys()[0], after.sorted_keys()[0], assume_unique=True, return_indices=True)
    old, new = before.sorted_keys()[1][old], after.sorted_keys()[1][new]
    scores = np.empty(len(old), np.float32)
    for start in range(0, len(old), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        scores[rows] = np.einsum("ij,ij->i", before.vectors(old[rows]), after.vectors(new[rows]))
    values = _distances(scores)
    percentiles = percentiles_of(values, np.sort(values))  # among all changes, also where a box asks for a few
    if bounds is not None:
        inside = within(after, bounds)[new]
        new, values, percentiles = new[inside], values[inside], None if percentiles is None else percentiles[inside]
    return Answer(database=after, positions=new, measure="change", values=values, percentiles=percentiles)


def changes(before: Database, after: Database, count: int, bounds: Bounds | None = None) -> list[Hit]:
    """The chips, embedded in both years, whose embeddings differ most."""
    check_count(count)
    found = change_scores(before, after, bounds)
    return [
        Hit(
            rank=rank,
            chip=after.chip(int(found.positions[place])),
            year=after.year,
            **_said(1 - found.values[place], None if found.percentiles is None else found.percentiles[place]),
        )
        for rank, place in enumerate(top(found.values, count), 1)
    ]


def _distances(cosines: Scores) -> Scores:
    return np.maximum(np.float32(0), 1 - cosines)


def _said(cosine: np.float32, percentile: np.float32 | None, *, has_unlikes: bool = False) -> dict[str, float | None]:
    """The numbers of a hit."""
    if has_unlikes:
        return {"score": round(float(cosine), 6)}
    distance = round(max(0.0, 1.0 - float(cosine)), 6)
    return {"distance": distance, "percentile": None if percentile is None else round(float(percentile), 3)}
