import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.errors import UsageError
from embedder.explore.search import UNLIKE_WEIGHT, combine, top


@given(st.lists(st.floats(-1, 1, width=32), max_size=40), st.integers(1, 50))
def test_top_is_the_head_of_a_stable_sort(scores: list[float], count: int) -> None:
    array = np.array(scores, np.float32)
    assert top(array, count).tolist() == np.argsort(-array, kind="stable")[:count].tolist()


def test_a_query_is_the_mean_of_the_likes_less_half_that_of_the_unlikes() -> None:
    like, unlike = np.eye(3, dtype=np.float32)[:2], np.eye(3, dtype=np.float32)[2:]
    expected = np.array([0.5, 0.5, -UNLIKE_WEIGHT])
    np.testing.assert_allclose(combine(like, unlike), expected / np.linalg.norm(expected), rtol=1e-6)


def test_examples_that_cancel_out_are_refused() -> None:
    one = np.eye(2, dtype=np.float32)[:1]
    with pytest.raises(UsageError, match="cancels out"):
        combine(one, one * np.float32(1 / UNLIKE_WEIGHT))
