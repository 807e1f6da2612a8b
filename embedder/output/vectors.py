"""What can be told of vectors by themselves: how long they are, which are copies of others, and which lengths stand out."""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Lengths = NDArray[np.float32]
"""(rows,): Euclidean."""
Fingerprints = NDArray[np.uint64]
"""(rows,)"""

FAR = 2.0
"""How many times longer or shorter than the median is far from it: a model's own lengths differ by less."""
FINGERPRINT_BYTES = 8
"""Among a million vectors two share one by chance in one of 37 million runs."""


def lengths(vectors: NDArray[np.float32]) -> Lengths:
    """The Euclidean length of each row of (rows, width)."""
    found: Lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)).astype(np.float32)
    return found


def fingerprints(vectors: NDArray[np.float32]) -> Fingerprints:
    """A number for each row of (rows, width), the same where all its bytes are."""
    hashes = b"".join(blake2b(row, digest_size=FINGERPRINT_BYTES).digest() for row in np.ascontiguousarray(vectors))
    return np.frombuffer(hashes, np.uint64)


def copies(marks: Fingerprints) -> NDArray[np.bool_]:
    """Which fingerprints have been there before, in an earlier row."""
    _, first = np.unique(marks, return_index=True)
    again = np.ones(len(marks), np.bool_)
    again[first] = False
    return again


def far(found: Lengths) -> NDArray[np.bool_]:
    """Which lengths are more than FAR times longer or shorter than the median; of none, none."""
    median = np.median(found) if len(found) else 1.0
    distant: NDArray[np.bool_] = (found > FAR * median) | (found * FAR < median)
    return distant
