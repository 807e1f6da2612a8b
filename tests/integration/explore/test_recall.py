"""How much the index finds."""

import pytest

from embedder.explore.recall import measure
from embedder.explore.search import Searcher

pytestmark = pytest.mark.usefixtures("_own_cache")


def test_the_index_finds_nearly_all_when_measured(indexed: Searcher) -> None:
    measured = measure(indexed, 30)
    assert measured.has_index
    assert measured.recall >= 0.95
