"""What the page knows of the land, against facts of geography."""

import gzip
import json
from importlib.resources import files

import pytest
import shapely
from shapely.geometry import shape

DATA = files("embedder.explore.web").joinpath("page/data")


def test_all_of_it_is_small() -> None:
    assert sum(len(gzip.compress(DATA.joinpath(name).read_bytes())) for name in ("backdrop.json", "places.json")) < 300_000


@pytest.mark.parametrize(
    ("kind", "lon", "lat"),
    [
        ("state", -111.05, 43.0),  # Wyoming and Idaho
        ("state", -104.05, 48.0),  # Montana and North Dakota
        ("country", -100.0, 49.0),
        ("coast", -75.53, 35.25),  # Cape Hatteras
        ("coast", -124.41, 40.44),  # Cape Mendocino
        ("lake", -87.6, 41.85),  # Chicago's shore
    ],
)
def test_lines_lie_where_they_are(kind: str, lon: float, lat: float) -> None:
    features = json.loads(DATA.joinpath("backdrop.json").read_bytes())["features"]
    (lines,) = (shape(feature["geometry"]) for feature in features if feature["properties"]["kind"] == kind)
    assert lines.is_valid
    assert lines.distance(shapely.Point(lon, lat)) < 0.05


def test_places_are_where_they_are_and_the_largest_come_first() -> None:
    places = json.loads(DATA.joinpath("places.json").read_bytes())
    assert len(places) > 3_000
    people = [place[4] for place in places]
    assert people == sorted(people, reverse=True)
    by_name = {(name, state): (lon, lat) for name, state, lon, lat, _ in places}
    assert by_name["Norfolk", "VA"] == pytest.approx((-76.285, 36.847), abs=0.02)
    assert by_name["Monterey", "CA"] == pytest.approx((-121.895, 36.6), abs=0.02)
