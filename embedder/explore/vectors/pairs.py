"""How far random pairs of a year are apart: what makes a distance mean something.

Embeddings of one model fill a narrow cone: two chips drawn by lot are often 0.01 to 0.1 apart, so that 1 - cosine says little by itself.
"""

import json
from contextlib import suppress
from hashlib import sha256
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from embedder.explore.vectors.database import Database

PAIRS = 100_000
CHIPS = 20_000
"""Between which they are drawn: 60 MB of vectors are read, not 600."""
TOGETHER = 2_000
"""Pairs that are compared at a time: 12 MB."""
SEED = 0
DIGEST_BYTES = 32

Distances = NDArray[np.float32]


def pair_distances(database: Database) -> Distances:
    """1 - cosine of 100,000 pairs of chips drawn by lot, or of all where they are fewer, ascending. Kept beside the vectors."""
    columns = {column: stored.identity for column, stored in sorted(database.record.columns.items())}
    name = sha256(json.dumps([database.record.digest, PAIRS, SEED, columns]).encode()).hexdigest()[:12]
    path = database.folder / f"pairs-{name}.f32"
    with suppress(OSError):
        stored = path.read_bytes()
        found = stored[:-DIGEST_BYTES]
        if sha256(found).digest() == stored[-DIGEST_BYTES:]:  # a cache may be damaged
            return np.frombuffer(found, np.float32)
    made = _measure(database)
    draft = path.with_name(f"{path.name}.{uuid4().hex[:8]}")
    with suppress(OSError):  # a cache that is full, or others': it is found again each time
        try:
            if len(made):
                draft.write_bytes(made.tobytes() + sha256(made.tobytes()).digest())
                draft.replace(path)
            for other in database.folder.glob("pairs-*"):
                if other != path and other.suffix == path.suffix:
                    other.unlink()  # of what was here before
        finally:
            draft.unlink(missing_ok=True)
    return made


def percentiles_of(distances: NDArray[np.floating], among: Distances) -> NDArray[np.float32] | None:
    """How many percent of the sorted `among` are nearer; None where there are none."""
    if not len(among):
        return None
    found: NDArray[np.float32] = (100 / len(among) * np.searchsorted(among, np.asarray(distances, np.float32))).astype(np.float32)
    return found


def _measure(database: Database) -> Distances:
    live = database.sorted_keys()[1]
    random = np.random.default_rng(SEED)
    drawn = live if len(live) <= CHIPS else np.sort(random.choice(live, CHIPS, replace=False))
    vectors, count = database.vectors(drawn), len(drawn)
    if count * (count - 1) // 2 <= PAIRS:
        first, second = np.triu_indices(count, 1)
    else:
        first = random.integers(0, count, PAIRS)
        second = (first + random.integers(1, count, PAIRS)) % count  # never itself
    found = np.empty(len(first), np.float32)
    for start in range(0, len(found), TOGETHER):
        some = slice(start, start + TOGETHER)
        found[some] = 1 - np.einsum("ij,ij->i", vectors[first[some]], vectors[second[some]])
    return np.sort(np.maximum(found, 0))
