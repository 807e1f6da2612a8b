"""The directions that vectors use, against singular values and all pairs."""

import numpy as np
import pytest

from embedder.analysis.spectrum import Moments, axes_for, effective_rank, mean_cosine, variances

RANDOM = np.random.default_rng(0)
SKEWED = (RANDOM.standard_normal((60, 8)) * [9, 5, 3, 1, 1, 0.5, 0.1, 0.1] + 4).astype(np.float32)


def test_variances_are_those_of_the_centred_vectors_when_they_come_in_parts() -> None:
    moments = Moments.of(SKEWED[:7]) + Moments.of(SKEWED[7:7]) + Moments.of(SKEWED[7:])
    singular = np.linalg.svd(SKEWED.astype(np.float64) - SKEWED.mean(axis=0, dtype=np.float64), compute_uv=False)
    assert variances(moments) == pytest.approx(singular**2 / len(SKEWED))
    shares = singular / singular.sum()
    assert effective_rank(variances(moments)) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


@pytest.mark.parametrize(("found", "rank"), [([1, 1, 1, 1], 4), ([7, 0, 0, 0], 1), ([2, 2, 0, 0], 2), ([0, 0, 0, 0], 0)])
def test_the_effective_rank_counts_directions_when_they_are_alike(found: list[float], rank: float) -> None:
    assert effective_rank(np.array(found, np.float64)) == pytest.approx(rank)


@pytest.mark.parametrize(("share", "axes"), [(0.5, 1), (0.8, 1), (0.81, 2), (0.95, 2), (1.0, 3)])
def test_axes_are_counted_until_they_hold_the_share(share: float, axes: int) -> None:
    assert axes_for(np.array([80, 15, 5, 0.0]), share) == axes
    assert axes_for(np.zeros(4), share) == 0


def test_the_mean_cosine_is_that_of_all_pairs() -> None:
    unit = SKEWED / np.linalg.norm(SKEWED, axis=1, keepdims=True)
    cosines = unit.astype(np.float64) @ unit.T
    assert mean_cosine(Moments.of(unit)) == pytest.approx(cosines[~np.eye(len(unit), dtype=bool)].mean())


def test_of_one_vector_nothing_varies_and_there_is_no_pair() -> None:
    assert not variances(Moments.of(SKEWED[:1])).any()
    assert mean_cosine(Moments.of(SKEWED[:1])) is None
