"""The ground that is embedded, as the page asks for it."""

import json

import shapely
from shapely.geometry import shape

from embedder.explore.explorer import Explorer
from embedder.explore.web.coverage import coverage
from tests.explore_site import get


def test_coverage_is_the_outline_of_the_chips(explorer: Explorer, page: str) -> None:
    feature = get(f"{page}/api/coverage?year=2020")[2]["features"][0]
    database = explorer.searcher(2020).database
    chips = [database.chip(int(row)) for row in database.sorted_keys()[1]]
    expected = shapely.union_all([shapely.box(*vars(chip.bounds).values()) for chip in chips])
    found = shape(feature["geometry"])
    assert found.symmetric_difference(expected).area < 1e-4 * expected.area  # five decimals
    assert len(found.geoms) == len(expected.geoms)
    inside = {
        (column, row)
        for left, top, right, bottom in feature["properties"]["boxes"]
        for column in range(left, right)
        for row in range(top, bottom)
    }
    assert inside == {(chip.column, chip.row) for chip in chips}
    assert len(json.dumps(coverage(database))) < 1_000
