"""The Hilbert curve: squares that lie near one another on the ground lie near one another in a file."""

import numpy as np
from numpy.typing import NDArray


def hilbert(places: NDArray[np.integer], order: int) -> NDArray[np.int64]:
    """Where each place, (n, 2) of x and y below 2**order, lies on the curve through all of them, from 0.

    An aligned square of 2**k by 2**k places is one piece of the curve. ValueError for a place outside.
    """
    x, y = places.astype(np.int64).T
    if places.size and (places.min() < 0 or places.max() >= 1 << order):
        raise ValueError(f"a place is outside a square of {1 << order}")
    along = np.zeros(len(places), np.int64)
    for bit in reversed(range(order)):
        right, low = (x >> bit) & 1, (y >> bit) & 1
        along = (along << 2) | ((3 * right) ^ low)
        # Each quarter is a curve of its own, turned so that it begins where the last one ended.
        turned, mirrored = low == 0, (low == 0) & (right == 1)
        most = (1 << bit) - 1
        x, y = x & most, y & most
        x, y = np.where(mirrored, most - x, x), np.where(mirrored, most - y, y)
        x, y = np.where(turned, y, x), np.where(turned, x, y)
    return along
