"""Embeddings in 8 bits, with a scale and an offset for each dimension; and what that costs a search."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""(rows, width)."""
Codes = NDArray[np.int8]
"""(rows, width), from -127 to 127."""

LEVELS = 127
"""Codes on either side of 0."""
QUERIES = 200
"""Chips, drawn by lot, whose neighbours are looked for."""
NEIGHBOURS = 10
"""Of each: recall@10."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantisation:
    """A number is its code times the scale plus the offset of its dimension."""

    scale: NDArray[np.float32]
    """(width,)"""
    offset: NDArray[np.float32]
    """(width,)"""

    @classmethod
    def of_range(cls, low: NDArray[np.float32], high: NDArray[np.float32]) -> Self:
        """That in which the least and the greatest number of each dimension, (width,), are the outermost codes."""
        low64, high64 = low.astype(np.float64), high.astype(np.float64)
        scale = (high64 - low64) / (2 * LEVELS)
        return cls(scale=np.where(scale > 0, scale, 1).astype(np.float32), offset=((low64 + high64) / 2).astype(np.float32))

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """As `to_record` says it."""
        return cls(scale=np.array(record["scale"], np.float32), offset=np.array(record["offset"], np.float32))

    def to_record(self) -> dict[str, list[float]]:
        """What JSON says."""
        # The shortest decimals that are these float32 again.
        return {name: [float(str(value)) for value in getattr(self, name)] for name in ("scale", "offset")}

    def encode(self, vectors: Vectors) -> Codes:
        """The nearest codes."""
        codes: Codes = np.clip(np.rint((vectors - self.offset) / self.scale), -LEVELS, LEVELS).astype(np.int8)
        return codes

    def decode(self, codes: Codes) -> Vectors:
        """The numbers that the codes stand for."""
        numbers: Vectors = codes * self.scale + self.offset
        return numbers


def draw(rows: int) -> NDArray[np.int64]:
    """Which of so many rows are the queries: the same each time, in order."""
    drawn: NDArray[np.int64] = np.sort(np.random.default_rng(0).choice(rows, min(QUERIES, rows), replace=False))
    return drawn


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a first look at all vectors finds."""

    quantisation: Quantisation
    queries: NDArray[np.int64]
    """Their rows."""
    vectors: Vectors
    """Theirs."""


def survey(blocks: Iterable[Vectors], rows: int) -> Survey:
    """The range of each dimension, and the queries, of so many rows in blocks."""
    queries = draw(rows)
    low, high = np.float32(np.inf), np.float32(-np.inf)
    found, start = [], 0
    for block in blocks:
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
        found.append(block[queries[(queries >= start) & (queries < start + len(block))] - start])
        start += len(block)
    return Survey(
        quantisation=Quantisation.of_range(np.asarray(low), np.asarray(high)),
        queries=queries,
        vectors=np.concatenate(found, dtype=np.float32),
    )


def recall(blocks: Iterable[Vectors], surveyed: Survey) -> float:
    """Recall@10 of the codes against the numbers: cosine, all rows compared, in blocks, a query not with itself.

    A neighbour that is exactly as near as the tenth counts as one of the ten: which of equals is named is no loss. 1 where nothing is near.
    """
    quantisation, queries = surveyed.quantisation, surveyed.vectors
    exact, coded = _unit(queries), _unit(quantisation.decode(quantisation.encode(queries)))
    none = np.full((len(queries), NEIGHBOURS), -np.inf, np.float32)
    truth, found, of_found, start = none, none, none, 0
    for block in blocks:
        true = exact @ _unit(block).T  # (queries, rows)
        seen = coded @ _unit(quantisation.decode(quantisation.encode(block))).T
        own = np.flatnonzero((surveyed.queries >= start) & (surveyed.queries < start + len(block)))
        true[own, surveyed.queries[own] - start] = seen[own, surveyed.queries[own] - start] = -np.inf
        truth = -np.partition(-np.concatenate([truth, true], axis=1), NEIGHBOURS - 1)[:, :NEIGHBOURS]
        found, of_found = np.concatenate([found, seen], axis=1), np.concatenate([of_found, true], axis=1)
        best = np.argpartition(-found, NEIGHBOURS - 1)[:, :NEIGHBOURS]
        found, of_found = np.take_along_axis(found, best, 1), np.take_along_axis(of_found, best, 1)
        start += len(block)
    wanted = np.isfinite(truth)
    if not wanted.any():
        return 1.0
    least = np.where(wanted, truth, np.inf).min(axis=1, keepdims=True)
    hits = np.isfinite(of_found) & (of_found >= least - 1e-6)  # float32's rounding of a product
    return float(hits.sum() / wanted.sum())


def _unit(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return vectors / lengths
