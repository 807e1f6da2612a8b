"""Chips beside each other on the grid, and those that a tile's edge runs through."""

import numpy as np
from numpy.typing import NDArray

from embedder.grid import TILE_PIXELS

Chips = NDArray[np.int16]
"""(rows, 2): each chip's column and row, counted in chips."""
Places = NDArray[np.int64]
"""(pairs,): which rows of the chips."""
_DOWN = 1 << 14
"""More than there are rows of chips."""


def keys_of(chips: Chips) -> Places:
    """A number for each chip, the same in every year: by columns, then from north to south."""
    keys: Places = chips[:, 0].astype(np.int64) * _DOWN + chips[:, 1]
    return keys


def pairs_beside(chips: Chips) -> tuple[Places, Places]:
    """Chips that share a side, each pair once: the western or northern one's row, and the other's."""
    keys = keys_of(chips)
    order = np.argsort(keys)
    found = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for step in (_DOWN, 1):  # to the east, to the south
        places = np.minimum(np.searchsorted(keys[order], keys + step), max(len(keys) - 1, 0))
        first = np.flatnonzero(keys[order][places] == keys + step)
        found[0].append(first)
        found[1].append(order[places[first]])
    return np.concatenate(found[0]), np.concatenate(found[1])


def distances(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 - cosine of unit vectors, row by row: 0 the same, 2 opposite."""
    found: NDArray[np.float32] = np.maximum(1 - np.einsum("ij,ij->i", one, other), 0)
    return found


def on_tile_edge(chips: Chips, pixels: int) -> NDArray[np.bool_]:
    """Which chips, `pixels` wide, have pixels of more than one tile."""
    first = chips.astype(np.int64) * pixels
    crossed: NDArray[np.bool_] = (first // TILE_PIXELS != (first + pixels - 1) // TILE_PIXELS).any(axis=1)
    return crossed


def placements(values: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of each value, the share of the others that are less, equal ones counting half.

    Their mean is the Mann-Whitney U over both counts, the chance that a value drawn by lot exceeds another's: 0.5 where the two are spread
    alike (Vargha and Delaney, "A critique and improvement of the CL common language effect size", JEBS 25, 2000).
    """
    ordered = np.sort(others)
    less, at_most = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    found: NDArray[np.float64] = (less + at_most) / 2 / max(len(others), 1)
    return found
