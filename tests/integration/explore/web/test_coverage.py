"""The ground that is embedded, as the page asks for it."""

import json

import pytest

from embedder.explore.explorer import Explorer
from embedder.explore.web.coverage import coverage
from tests.explore_site import get


def test_coverage_is_light_and_whole(explorer: Explorer, page: str) -> None:
    _, _, found = get(f"{page}/api/coverage?year=2020")
    rings = found["features"][0]["geometry"]["coordinates"]
    area = sum((ring[0][2][0] - ring[0][0][0]) * (ring[0][2][1] - ring[0][0][1]) for ring in rings)
    assert area == pytest.approx(83 * (512 / 12000) ** 2, rel=1e-3)
    assert len(rings) == 3
    assert len(json.dumps(coverage(explorer.searcher(2020).database))) < 1_000
