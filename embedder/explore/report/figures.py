"""Every figure of the report, from one pass over the columns: sums and a few bytes a chip are kept, and the vectors of a sample."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder import __version__
from embedder.analysis.blocks import Numbers, blocks_of, interval, side_for, sums_by_block
from embedder.analysis.neighbours import Chips, distances, keys_of, on_tile_edge, pairs_beside, placements
from embedder.analysis.probe import probe
from embedder.analysis.spectrum import Moments, axes_for, effective_rank, mean_cosine, variances
from embedder.analysis.spread import spread_of
from embedder.console.progress import Progress
from embedder.explore.vectors.catalogue import Published
from embedder.explore.vectors.column_rows import ColumnRows, read_column
from embedder.grid import COLUMN_COUNT, COLUMN_PIXELS, HEIGHT_PIXELS, VERSIONS, Chip
from embedder.output.vectors import copies, far, fingerprints
from embedder.recipes import Recipe
from embedder.source.land_cover import CLASSES, EVERY, LandCoverMap

FORMAT = 1
"""Of the JSON document."""
SAMPLE = 20_000
"""Chips, drawn by lot, that classes are learnt from and tested on: with more, the intervals hardly shrink, and the search grows fast."""
THREADS = 4
TOGETHER = 16
"""Columns that are read at a time: some 30 MB a year."""
NAMED = 5
"""Chips that are named of those that stand out."""
CHANGE_NOTE = (
    "the composites of 2020 (v100) and 2021 (v200) were made by different processing: some of the change is processing, not ground"
)
Values = NDArray[np.float32]


class _Sums:
    """What is kept of a year while its columns go by, in their order."""

    def __init__(self, recipe: Recipe, *, with_sample: bool) -> None:
        width = recipe.width
        self.recipe = recipe
        self.moments = Moments(count=0, total=np.zeros(width), products=np.zeros((width, width)))
        self.chips: list[Chips] = [np.empty((0, 2), np.int16)]
        self.lengths: list[Values] = [np.empty(0, np.float32)]
        self.marks: list[NDArray[np.uint64]] = [np.empty(0, np.uint64)]
        self.pairs: list[tuple[NDArray[np.int32], NDArray[np.int32], Values]] = []
        self.sample = _Sample(recipe) if with_sample else None
        self._last = np.empty((0, width), np.float32)

    def add(self, rows: ColumnRows) -> None:
        """The next column."""
        before, start = self.chips[-1], self.moments.count - len(self.chips[-1])
        chips, vectors = np.concatenate([before, rows.chips]), np.concatenate([self._last, rows.vectors])
        one, other = pairs_beside(chips)
        new = np.maximum(one, other) >= len(before)
        one, other = one[new], other[new]
        away = distances(vectors[one], vectors[other])
        self.pairs.append(((one + start).astype(np.int32), (other + start).astype(np.int32), away))
        self.moments += Moments.of(rows.vectors)
        self.chips.append(rows.chips)
        self.lengths.append(rows.lengths)
        self.marks.append(fingerprints(rows.vectors))
        self._last = rows.vectors
        if self.sample:
            self.sample.add(rows)

    def neighbour_distances(self) -> tuple[Values, Values]:
        """Of each pair, and of each chip the mean over its neighbours, NaN where it has none."""
        one, other, away = (np.concatenate(parts) for parts in zip(*self.pairs, strict=True))
        sums, counts = np.zeros(self.moments.count), np.zeros(self.moments.count)
        for ends in (one, other):
            sums += np.bincount(ends, away, self.moments.count)
            counts += np.bincount(ends, minlength=self.moments.count)
        with np.errstate(invalid="ignore"):
            return away, (sums / counts).astype(np.float32)


class _Sample:
    """The chips with the lowest lots, the same ones in every year and whatever order they come in."""

    def __init__(self, recipe: Recipe) -> None:
        self._rows = HEIGHT_PIXELS // recipe.chip_pixels
        grid = COLUMN_COUNT * COLUMN_PIXELS // recipe.chip_pixels * self._rows
        self._lots = np.random.default_rng(0).permutation(grid).astype(np.int32)
        self._limit = grid
        self._chips: list[Chips] = [np.empty((0, 2), np.int16)]
        self._vectors: list[Values] = [np.empty((0, recipe.width), np.float32)]
        self._count = 0

    def add(self, rows: ColumnRows) -> None:
        """Keep what may belong to the sample."""
        kept = self._lots_of(rows.chips) < self._limit
        self._chips.append(rows.chips[kept])
        self._vectors.append(rows.vectors[kept])
        self._count += int(kept.sum())
        if self._count > 2 * SAMPLE:
            self._cut()

    def drawn(self) -> tuple[Chips, Values]:
        """The sample."""
        self._cut()
        return self._chips[0], self._vectors[0]

    def _cut(self) -> None:
        chips, vectors = np.concatenate(self._chips), np.concatenate(self._vectors)
        lots = self._lots_of(chips)
        if len(lots) > SAMPLE:
            self._limit = int(np.partition(lots, SAMPLE)[SAMPLE])
        kept = lots < self._limit
        self._chips, self._vectors, self._count = [chips[kept]], [vectors[kept]], int(kept.sum())

    def _lots_of(self, chips: Chips) -> NDArray[np.int32]:
        lots: NDArray[np.int32] = self._lots[chips.astype(np.int64) @ [self._rows, 1]]
        return lots


def measure(published: Sequence[Published], labels: dict[int, LandCoverMap], progress: Progress) -> dict[str, Any]:
    """The document, as JSON holds it, of one recipe's years; `labels` by year, where there are any."""
    recipe = published[0].recipe
    sums = {each.year: _Sums(recipe, with_sample=each.year in labels) for each in published}
    why_no_change = _why_no_change(published)
    changed: list[tuple[Chips, Values]] = [(np.empty((0, 2), np.int16), np.empty(0, np.float32))]
    for column in _columns(published, progress):
        for year, rows in column.items():
            sums[year].add(rows)
        if len(column) > 1 and not why_no_change:
            changed.append(_change(*column.values()))
    chips, change = np.concatenate([part for part, _ in changed]), np.concatenate([part for _, part in changed])
    years = {}
    for each in published:
        progress.say(f"{each.year}: computing the figures of {sums[each.year].moments.count} chips")
        years[str(each.year)] = _figures(each, sums.pop(each.year), labels.get(each.year))
    document = {
        "format": FORMAT,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "package_version": __version__,
        "output": published[0].storage.url,
        "recipe": recipe.name,
        "warnings": list(dict.fromkeys(each.warning for each in published if each.warning)),
        "years": years,
        "change": {"reason": why_no_change} if why_no_change else _change_figures(chips, change, recipe),
    }
    rounded: dict[str, Any] = _rounded(document)
    return rounded


def _columns(published: Sequence[Published], progress: Progress) -> Iterator[dict[int, ColumnRows]]:
    """What each column holds, by year, from west to east; InvalidFileError where a file is not the published one."""
    numbers = sorted({column for each in published for column in each.columns})
    with ThreadPoolExecutor(THREADS, thread_name_prefix="read") as pool, progress.task("measure", columns=len(numbers)):
        for first in range(0, len(numbers), TOGETHER):
            group = [(column, each) for column in numbers[first : first + TOGETHER] for each in published if column in each.columns]
            read = list(pool.map(lambda asked: read_column(asked[1], asked[0]), group))
            for column in numbers[first : first + TOGETHER]:
                yield {each.year: rows for (number, each), rows in zip(group, read, strict=True) if number == column}
                progress.column_done()


def _figures(published: Published, sums: _Sums, labels: LandCoverMap | None) -> dict[str, Any]:
    recipe = sums.recipe
    chips, lengths, marks = np.concatenate(sums.chips), np.concatenate(sums.lengths), np.concatenate(sums.marks)
    if not len(chips):
        return {"chips": 0}
    found = variances(sums.moments)
    cosine = mean_cosine(sums.moments)
    pairs, near = sums.neighbour_distances()
    has_neighbours = np.isfinite(near)
    edge = on_tile_edge(chips, recipe.chip_pixels)
    measured = {"length": (np.ones(len(chips), np.bool_), lengths), "neighbour_distance": (has_neighbours, near)}
    return {
        "chips": len(chips),
        "digest": published.digest,
        "lengths": _spread(lengths) | _far(chips, lengths, recipe),
        "duplicates": _duplicates(chips, marks, recipe),
        "spectrum": {
            "width": recipe.width,
            "effective_rank": effective_rank(found),
            "axes_for_90_percent": axes_for(found, 0.9),
            "axes_for_99_percent": axes_for(found, 0.99),
            "mean_cosine": cosine,
            "variance_shares": (found / max(found.sum(), 1e-300)).tolist(),
        },
        "neighbours": _spread(pairs) | {"distance_of_random_pairs": None if cosine is None else 1 - cosine},
        "tile_edges": {
            name: _against_the_rest(chips[which], values[which], edge[which], recipe) for name, (which, values) in measured.items()
        },
        "labels": _labels(sums.sample, labels, recipe),
    }


def _spread(values: NDArray[np.floating]) -> dict[str, Any]:
    found = spread_of(values)
    return asdict(found) if found else {"count": 0}


def _far(chips: Chips, lengths: Values, recipe: Recipe) -> dict[str, Any]:
    distant = np.flatnonzero(far(lengths))
    furthest = distant[np.argsort(-np.abs(np.log(lengths[distant] / np.median(lengths))), kind="stable")][:NAMED]
    named = {_id(chips[place], recipe): float(lengths[place]) for place in furthest}
    return {"far_from_median": len(distant), "furthest": named}


def _duplicates(chips: Chips, marks: NDArray[np.uint64], recipe: Recipe) -> dict[str, Any]:
    again = copies(marks)
    repeated, counts = np.unique(marks[again], return_counts=True)
    largest = repeated[np.argsort(-counts, kind="stable")][:NAMED]
    groups = [[_id(chip, recipe) for chip in chips[marks == mark][:NAMED]] for mark in largest]
    return {"copies": int(again.sum()), "share": float(again.mean()), "largest_groups": groups}


def _against_the_rest(chips: Chips, values: Values, edge: NDArray[np.bool_], recipe: Recipe) -> dict[str, Any]:
    """How chips at tile edges compare; `exceeds` is the chance that one of them has more than one of the rest, with its interval."""
    counts = {"at_edges": int(edge.sum()), "elsewhere": int((~edge).sum())}
    if not all(counts.values()):
        return counts | {"reason": "there are no chips of both kinds"}
    medians = {"median_at_edges": float(np.median(values[edge])), "median_elsewhere": float(np.median(values[~edge]))}
    placed = placements(values[edge], values[~edge])
    exceeds = {"value": float(placed.mean()), "low": None, "high": None}
    side = side_for(chips[edge], recipe.chip_pixels)
    if side:
        blocks = blocks_of(chips[edge], recipe.chip_pixels, side)
        parts = sums_by_block(blocks, np.column_stack([placed, np.ones(len(placed))]))
        _, (low,), (high,) = interval(parts, _mean)
        exceeds |= {"low": float(low), "high": float(high)}
    return counts | medians | {"exceeds": exceeds}


def _mean(sums: Numbers) -> Numbers:
    return sums[:, :1] / sums[:, 1:]


def _labels(sample: _Sample | None, labels: LandCoverMap | None, recipe: Recipe) -> dict[str, Any]:
    if sample is None or labels is None:
        return {"reason": "no labels were given: --labels"}
    pixels = recipe.chip_pixels
    chips, vectors = sample.drawn()
    shares = labels.shares(Chip(column=column, row=row, pixels=pixels).window for column, row in chips.tolist())
    known = np.isfinite(shares).all(axis=1)
    facts = {
        "map": labels.location,
        "pixels_counted": f"one of {EVERY} each way",
        "sampled": len(chips),
        "known": int(known.sum()),
        "classes": list(CLASSES.values()),
        "chips_by_class": np.bincount(shares[known].argmax(axis=1), minlength=len(CLASSES)).tolist(),
    }
    found = probe(chips[known], pixels, vectors[known], shares[known])
    return facts | ({"reason": found} if isinstance(found, str) else asdict(found))


def _why_no_change(published: Sequence[Published]) -> str | None:
    if len(published) < len(VERSIONS):
        return f"only {published[0].year} was looked at"
    if len({each.run.weights_sha256 for each in published if each.run}) > 1:
        return "the years were embedded with different weights: distances between them mean nothing"
    return None


def _change(before: ColumnRows, after: ColumnRows) -> tuple[Chips, Values]:
    _, old, new = np.intersect1d(keys_of(before.chips), keys_of(after.chips), assume_unique=True, return_indices=True)
    return before.chips[old], distances(before.vectors[old], after.vectors[new])


def _change_figures(chips: Chips, change: Values, recipe: Recipe) -> dict[str, Any]:
    if not len(change):
        return {"reason": "no chip was embedded in both years"}
    most = np.argsort(-change, kind="stable")[:NAMED]
    edge = on_tile_edge(chips, recipe.chip_pixels)
    return _spread(change) | {
        "most": {_id(chips[place], recipe): float(change[place]) for place in most},
        "tile_edges": _against_the_rest(chips, change, edge, recipe),
        "note": CHANGE_NOTE,
    }


def _id(chip: Chips, recipe: Recipe) -> str:
    column, row = chip.tolist()
    return Chip(column=column, row=row, pixels=recipe.chip_pixels).id


def _rounded(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Six significant digits: more would be noise, and make the file large."""
    match value:
        case dict():
            return {name: _rounded(each) for name, each in value.items()}
        case list() | tuple():
            return [_rounded(each) for each in value]
        case float():
            return float(f"{value:.6g}") if np.isfinite(value) else None
    return value
