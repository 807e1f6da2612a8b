"""Chips by the ids that the files hold."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Chips = NDArray[np.int16]
"""(rows, 2): each chip's column and row, counted in chips."""


def chips_of_ids(ids: pa.ChunkedArray) -> Chips:
    """Of ids such as c1155r0287; ValueError where one is none."""
    letters = np.array(ids.to_pylist(), "S11").view(np.uint8).reshape(-1, 11)
    digits = letters[:, [[1, 2, 3, 4], [6, 7, 8, 9]]].astype(np.int16) - ord("0")
    if (letters[:, [0, 5, 10]] != [ord("c"), ord("r"), 0]).any() or (digits < 0).any() or (digits > 9).any():  # noqa: PLR2004 - a digit
        raise ValueError("a chip id is none")
    chips: Chips = (digits * np.array([1000, 100, 10, 1], np.int16)).sum(axis=2).astype(np.int16)
    return chips
